//! `junit.xml`: the checks as test cases, for tools that collect test results.

use std::fmt::Write;

use super::Evidence;
use crate::{
    judge::{CheckResult, Verdict},
    printable::steers,
};

/// Checks that belong together.
pub(crate) struct Suite<'a> {
    /// What they are about.
    pub name: String,
    /// Each check, with the exercise it belongs to.
    pub checks: Vec<(&'a str, &'a CheckResult)>,
    /// How long they took.
    pub elapsed_ms: u64,
}

/// The report of a run.
pub fn render(evidence: &Evidence) -> String {
    let outcome = &evidence.outcome;
    let checks = outcome.checks.iter().map(|check| (outcome.exercise.as_str(), check));
    suites(&[Suite {
        name: format!("exercise {} on {}: {}", outcome.exercise, outcome.runtime, outcome.title),
        checks: checks.collect(),
        elapsed_ms: outcome.elapsed_ms,
    }])
}

/// Several suites in one file.
pub(crate) fn suites(suites: &[Suite<'_>]) -> String {
    let all = suites.iter().flat_map(|suite| &suite.checks).map(|(_, check)| *check);
    let totals = totals(all, suites.iter().map(|suite| suite.elapsed_ms).sum());
    let mut xml =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"netlab\" {totals}>\n");
    for suite in suites {
        let own = self::totals(suite.checks.iter().map(|(_, check)| *check), suite.elapsed_ms);
        xml += &format!("  <testsuite name=\"{}\" {own}>\n", escape(&suite.name));
        for (exercise, check) in &suite.checks {
            case(&mut xml, &escape(exercise), check);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml + "</testsuites>\n"
}

fn totals<'a>(checks: impl Iterator<Item = &'a CheckResult>, ms: u64) -> String {
    let verdicts: Vec<Verdict> = checks.map(|check| check.verdict).collect();
    let count = |verdict| verdicts.iter().filter(|v| **v == verdict).count();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{}.{:03}\"",
        verdicts.len(),
        count(Verdict::Fail),
        count(Verdict::Error),
        ms / 1000,
        ms % 1000
    )
}

fn case(xml: &mut String, exercise: &str, check: &CheckResult) {
    let element = match check.verdict {
        Verdict::Pass => None,
        Verdict::Fail => Some("failure"),
        Verdict::Error => Some("error"),
    };
    let id = escape(&check.id);
    // Writing to a String cannot fail; the same holds below.
    let _ = write!(xml, "    <testcase classname=\"exercise.{exercise}\" name=\"{id}\"");
    let Some(element) = element else {
        xml.push_str("/>\n");
        return;
    };
    let observed = escape(&check.observed);
    let _ = write!(xml, ">\n      <{element} message=\"{observed}\">expected: {}", escape(&check.expected));
    for row in &check.evidence {
        let _ = write!(xml, "\n{}", escape(row));
    }
    let _ = write!(xml, "</{element}>\n    </testcase>\n");
}

/// A text as XML 1.0 allows it, in an element or an attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            c if steers(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_xml_cannot_carry_is_replaced() {
        assert_eq!(escape("a<b>&\"\x1b[2J\n\0"), "a&lt;b&gt;&amp;&quot;\u{fffd}[2J&#10;\u{fffd}");
    }
}
