//! The usage text, and the command's description for its help, manual page and completions.
//! The arguments themselves are read in `arguments.rs`: the description must say the same, which a test compares.

use clap::{CommandFactory, Parser};

/// What is printed when the command line is wrong, as the classic tool prints it.
pub const USAGE: &str = "\
Usage: rpcinfo [-m | -s] [host]
       rpcinfo -p [host]
       rpcinfo -T netid host prognum [versnum]
       rpcinfo -l host prognum versnum
       rpcinfo [-n portnum] -u | -t host prognum [versnum]
       rpcinfo -a serv_address -T netid prognum [version]
       rpcinfo -b prognum versnum
       rpcinfo -d [-T netid] prognum versnum
";

/// Report what a port mapper knows, and call RPC services
///
/// Without an option, lists everything that is registered with the port mapper of a host, by default of this one.
#[derive(Debug, Parser)]
#[command(
    name = "rpcinfo",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    override_usage = "rpcinfo [-m | -s] [host]
       rpcinfo -p [host]
       rpcinfo -T netid host prognum [versnum]
       rpcinfo -l [-T netid] host prognum versnum
       rpcinfo [-n portnum] -u | -t host prognum [versnum]
       rpcinfo -a serv_address -T netid prognum [version]
       rpcinfo -b prognum versnum
       rpcinfo -d [-T netid] prognum versnum
       rpcinfo audit host",
    after_long_help = "\
prognum is a program's number or its name in /etc/rpc. Without versnum all versions of the program are called.

Without a host, the lists have one more column when the port mapper here knows that a service is dead: that it is
registered, and that nothing is bound at its address any more.

rpcinfo audit host asks the port mapper of a host, in a handful of packets, what strangers can learn from it and do
with it, and prints each question with its answer, what is to be thought of it, and a verdict. It sees what its own
host may see: to know what strangers see, run it from where they are. A host that is called audit is listed by rpcinfo
audit, as any other, and audited by rpcinfo audit audit.

With -b only hosts whose port mappers make remote calls are heard of, which most do only when told to: rpcbind -r.

Exit status: 0 when everything asked for was found; 1 otherwise, with -b when nobody answered, and for a wrong command
line; 2 when an audit found that strangers can use the host against others.

Environment: NETPATH, netids separated by colons: the connections over which the port mapper of a host is asked
first.

Files: /etc/rpc, names of programs; /etc/netconfig, transports. Without them the usual ones are known."
)]
struct Description {
    /// List the rows of version 2: programs, versions, protocols, ports
    #[arg(short = 'p')]
    mappings: bool,
    /// List one line a program: its versions, its transports, its owner
    #[arg(short = 's')]
    short: bool,
    /// Show how often the port mapper was asked what
    #[arg(short = 'm')]
    statistics: bool,
    /// List the addresses of a service on all transports of the family over which the port mapper is asked
    #[arg(short = 'l')]
    addresses: bool,
    /// Call procedure 0 of a service over UDP
    #[arg(short = 'u')]
    udp: bool,
    /// Call procedure 0 of a service over TCP
    #[arg(short = 't')]
    tcp: bool,
    /// Use this port for -t and -u instead of asking the port mapper
    #[arg(short = 'n', value_name = "portnum")]
    port: Option<u16>,
    /// Use this transport: udp, tcp, udp6, tcp6, local
    #[arg(short = 'T', value_name = "netid")]
    netid: Option<String>,
    /// Call procedure 0 of a service at this universal address, without asking the port mapper
    #[arg(short = 'a', value_name = "serv_address", requires = "netid")]
    address: Option<String>,
    /// Call procedure 0 of a service on all hosts of the networks here, by IPv4 broadcast and IPv6 multicast, and list
    /// those that answer, each address once
    #[arg(short = 'b')]
    broadcast: bool,
    /// Unregister a service of this host, on all transports or on one
    #[arg(short = 'd')]
    delete: bool,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
    /// Wait this long at most for each thing, instead of 60 s for lists and look-ups, 10 s for services, 12 s for all
    /// that answer a broadcast and 2 s for each answer to an audit
    #[arg(long, value_name = "seconds")]
    timeout: Option<f64>,
    /// Print this help
    #[arg(long)]
    help: bool,
    /// Print the version
    #[arg(long)]
    version: bool,
    /// Host, program and version, as the form wants them
    #[arg(value_name = "operand")]
    operands: Vec<String>,
}

/// The description that help, manual page and completions are made from.
#[must_use]
pub fn command() -> clap::Command {
    Description::command()
}

#[cfg(test)]
mod tests {
    use super::{USAGE, command};
    use crate::arguments::known_letters;

    #[test]
    fn the_description_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_description_has_the_letters_that_are_read() {
        let command = command();
        let mut described: Vec<_> = command
            .get_arguments()
            .filter_map(|argument| Some((argument.get_short()?, argument.get_action().takes_values())))
            .collect();
        described.sort_unstable();
        assert_eq!(described, known_letters());
    }

    #[test]
    fn the_help_has_every_form_of_the_usage() {
        let help = command().render_long_help().to_string();
        for line in USAGE.lines() {
            let form = line.trim_start_matches("Usage:").trim().replace(" -l host", " -l [-T netid] host");
            assert!(help.contains(&form), "{form}\n{help}");
        }
    }
}
