//! An audit as text: a line for each question, then what is to be thought of it.

use crate::audit::{Audit, Outcome, Severity};
use crate::escape::Text;

pub(super) fn render(audit: &Audit) -> String {
    let mut text =
        format!("{}\n   transport call     vers  request    reply  factor  outcome\n", audit.asked);
    for probe in &audit.probes {
        let outcome = match probe.outcome {
            Outcome::Answered => "answered",
            Outcome::Refused => "refused",
            Outcome::Silent => "silent",
            Outcome::Unreachable => "unreachable",
        };
        // Over TCP the other end has shown that it wants the answer.
        let factor = if probe.transport == "udp" && probe.request > 0 {
            format!("{:.2}", ratio(probe.reply, probe.request))
        } else {
            "-".to_owned()
        };
        text += &format!("   {:<9} {:<8} {:>4}", probe.transport, probe.call, probe.version);
        text += &format!("{:>9}{:>9}{factor:>8}  {outcome}\n", probe.request, probe.reply);
    }
    let (largest, factor, wire) = (audit.largest_reply, audit.factor, audit.wire_factor);
    text += &format!(
        "largest reply over UDP to a request of {} bytes: {largest} bytes, factor {factor:.2} ({wire:.2} with \
         headers)\n",
        crate::audit::REQUEST
    );
    for exposed in &audit.exposed {
        let netids: Vec<String> = exposed.netids.iter().map(Text::shown).collect();
        let (program, service, gives) = (exposed.program, &exposed.service, exposed.gives);
        text += &format!("exposed: {program} {service} ({}): {gives}\n", netids.join(","));
    }
    for finding in &audit.findings {
        let severity = match finding.severity {
            Severity::Danger => "danger",
            Severity::Notice => "notice",
        };
        text += &format!("{severity}: {}\n", finding.finding);
    }
    text += if audit.passed {
        "verdict: it cannot be used against others\n"
    } else {
        "verdict: it can be used against others\n"
    };
    text
}

#[expect(clippy::cast_precision_loss, reason = "lengths of datagrams are small")]
fn ratio(reply: usize, request: usize) -> f64 {
    reply as f64 / request as f64
}
