//! A line chart as SVG: logarithmic steps to the right, microseconds upwards from zero.

use std::fmt::Write;

const SIZE: (f64, f64) = (760.0, 400.0);
/// Around the plot: left, right, above, below.
const MARGINS: (f64, f64, f64, f64) = (60.0, 24.0, 64.0, 52.0);
/// Lines across.
const STEPS: u32 = 5;
const COLOURS: [&str; 3] = ["#b3261e", "#1f5fa8", "#5f6368"];

/// What is drawn.
pub(crate) struct Chart {
    /// Above it.
    pub(crate) title: &'static str,
    /// Below it: what grows.
    pub(crate) grows: &'static str,
    /// How far it had grown at each point.
    pub(crate) at: Vec<u32>,
    /// Names, and microseconds at each point.
    pub(crate) lines: Vec<(&'static str, Vec<f64>)>,
}

impl Chart {
    /// The file's contents.
    pub(crate) fn svg(&self) -> String {
        let mut svg = String::new();
        let (width, height) = SIZE;
        let font = "font-family=\"sans-serif\" font-size=\"13\" fill=\"#202124\"";
        svg.push_str(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" {font}>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
        ));
        let (left, ..) = MARGINS;
        text(&mut svg, (left, 22.0), "start", &format!("<tspan font-weight=\"bold\">{}</tspan>", self.title));
        self.legend(&mut svg);
        self.axes(&mut svg);
        for (index, (_, values)) in self.lines.iter().enumerate() {
            self.line(&mut svg, values, COLOURS[index % COLOURS.len()]);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn legend(&self, svg: &mut String) {
        let mut x = MARGINS.0;
        for (index, (name, _)) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let _ = writeln!(svg, "<rect x=\"{x}\" y=\"36\" width=\"18\" height=\"4\" fill=\"{colour}\"/>");
            text(svg, (x + 24.0, 43.0), "start", name);
            x += 60.0 + 7.5 * f64::from(u32::try_from(name.len()).unwrap_or(0));
        }
    }

    fn axes(&self, svg: &mut String) {
        let (width, height) = SIZE;
        let (left, right, _, below) = MARGINS;
        for step in 0..=STEPS {
            let value = self.top() * f64::from(step) / f64::from(STEPS);
            let y = self.y(value);
            let _ = writeln!(
                svg,
                "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#dadce0\"/>",
                width - right
            );
            text(svg, (left - 8.0, y + 4.0), "end", &format!("{value} us"));
        }
        for at in &self.at {
            text(svg, (self.x(*at), height - below + 20.0), "middle", &grouped(*at));
        }
        text(svg, (f64::midpoint(left, width - right), height - 10.0), "middle", self.grows);
    }

    fn line(&self, svg: &mut String, values: &[f64], colour: &str) {
        let points: Vec<String> = self
            .at
            .iter()
            .zip(values)
            .map(|(at, value)| format!("{:.1},{:.1}", self.x(*at), self.y(*value)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        for (at, value) in self.at.iter().zip(values) {
            let (x, y) = (self.x(*at), self.y(*value));
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\">\
                 <title>{}: {value:.2} us</title></circle>",
                grouped(*at)
            );
        }
    }

    /// Microseconds at the upper edge: round ones, above all values.
    fn top(&self) -> f64 {
        let highest = self.lines.iter().flat_map(|(_, values)| values).copied().fold(0.0, f64::max);
        let unit = 10_f64.powf((highest.max(1e-3) * 1.05).log10().floor());
        [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|times| times * unit)
            .find(|top| *top >= highest * 1.05)
            .unwrap_or(highest)
    }

    fn x(&self, at: u32) -> f64 {
        let (left, right, ..) = MARGINS;
        // Nothing, too, has a place on this logarithmic axis.
        let place = |at: u32| (1.0 + f64::from(at)).log10();
        let (first, last) = (self.at.first().copied().unwrap_or(0), self.at.last().copied().unwrap_or(1));
        let part = (place(at) - place(first)) / (place(last) - place(first)).max(f64::EPSILON);
        left + 16.0 + part * (SIZE.0 - left - right - 40.0)
    }

    fn y(&self, value: f64) -> f64 {
        let (.., above, below) = MARGINS;
        SIZE.1 - below - value / self.top() * (SIZE.1 - above - below)
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

/// With a comma before every three digits.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let lines = vec![("ours", vec![3.0, 3.1]), ("rpcbind", vec![17.0, 34.0])];
        Chart { title: "t", grows: "rows", at: vec![0, 16_000], lines }
    }

    #[test]
    fn the_scale_ends_at_a_round_number_above_every_value() {
        assert_eq!(chart().top(), 50.0);
        assert!(chart().y(0.0) > chart().y(34.0) && chart().y(34.0) > MARGINS.2);
    }

    #[test]
    fn every_value_of_every_line_is_in_the_picture() {
        let svg = chart().svg();
        for value in ["0: 3.00 us", "16,000: 3.10 us", "0: 17.00 us", "16,000: 34.00 us"] {
            assert!(svg.contains(value), "{value}");
        }
        assert_eq!(svg.matches("<polyline").count(), 2);
    }
}
