//! A run as text, event by event, for a terminal and for Markdown.

use crate::{
    judge::Snapshot,
    printable::visible,
    record::Record,
    report::{
        Evidence,
        teller::{Brief, Focus, Kind, Line, Teller},
    },
    timeline::Event,
};

/// How text is highlighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Not at all.
    Plain,
    /// By colour, on a terminal.
    Colour,
}

impl Style {
    /// `text` in an SGR style.
    pub fn paint(self, sgr: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{sgr}m{text}\x1b[0m"),
        }
    }
}

/// Writes a run down as text.
pub struct Narrator {
    style: Style,
    teller: Teller,
    /// Unset if everything is to be shown.
    brief: Option<Brief>,
}

impl Narrator {
    /// For a run that is about to begin: everything if `verbose`, else what changes and what a check asks about.
    pub fn live(record: &Record, style: Style, verbose: bool) -> Self {
        let focus = Focus::of(&record.exercise, &record.roles, &record.ports);
        let teller = Teller::new(&record.plan, Snapshot::before(record), focus.clone());
        Self { style, teller, brief: (!verbose).then(|| Brief::new(focus)) }
    }

    /// For a finished run, in brief.
    pub fn of(evidence: &Evidence) -> Self {
        Self {
            style: Style::Plain,
            teller: evidence.teller(),
            brief: Some(Brief::new(evidence.focus.clone())),
        }
    }

    /// The text for an event, if there is any.
    pub fn tell(&mut self, event: &Event) -> Option<String> {
        let is_counted = self.brief.as_mut().is_some_and(|brief| brief.counts(event));
        let lines = self.teller.tell(event);
        if is_counted {
            return None;
        }
        let counted = self.brief.as_mut().and_then(|brief| brief.sum_up(Some(event)));
        let counted = counted.map(|counted| self.aside(&counted));
        let all: Vec<String> = counted.into_iter().chain(lines.iter().map(|line| self.line(line))).collect();
        (!all.is_empty()).then(|| all.join("\n"))
    }

    /// What remains to be shown after the last event.
    pub fn finish(&mut self) -> Option<String> {
        let counted = self.brief.as_mut()?.sum_up(None)?;
        Some(self.aside(&counted))
    }

    fn line(&self, line: &Line) -> String {
        let Line { kind, who, text, .. } = line;
        let since = self.teller.since_begin(line.at);
        let at = self.style.paint("2", &format!("{:9.1} ms", since as f64 / 1e6));
        match kind {
            Kind::Step => format!("\n{}", self.style.paint("1", text)),
            Kind::Command => self.command(line.by_hand.as_deref().unwrap_or_default(), text),
            Kind::Input => format!("{at}  {who} ← {text}"),
            Kind::Output => format!("{at}  {who} → {text}"),
            Kind::Ended => format!("{at}  {who}: {text}"),
            Kind::Packet => format!("{at}  {}", self.style.paint("36", text)),
            Kind::Look => format!("{at}  look “{text}”{}", self.look(line)),
            Kind::ObservationLost => self.style.paint("31", &format!("              {text}")),
            Kind::TimedOut | Kind::CaptureFull | Kind::LeftOut => {
                self.style.paint("33", &format!("              {text}"))
            }
        }
    }

    fn aside(&self, text: &str) -> String {
        self.style.paint("2", &format!("              {text}"))
    }

    fn command(&self, command: &str, comment: &str) -> String {
        let comment = if comment.is_empty() { String::new() } else { format!("   # {comment}") };
        format!("{}{}", self.style.paint("32", &format!("$ {command}")), self.style.paint("2", &comment))
    }

    /// What the tools show: of every host in full, or only where it has changed.
    fn look(&self, line: &Line) -> String {
        let mut text = String::new();
        let mut as_before = Vec::new();
        for host in &line.tables {
            let before = text.len();
            for view in &host.views {
                let shown = if self.brief.is_some() { view.brief() } else { Some(view.full()) };
                if let Some(shown) = shown {
                    text += &format!("\n{}\n{}", self.command(&view.by_hand, ""), shown.trim_end());
                }
            }
            if text.len() == before {
                as_before.push(visible(&host.host));
            }
        }
        if !as_before.is_empty() {
            text += &format!("\n{}", self.aside(&format!("as before: {}", as_before.join(", "))));
        }
        text
    }
}
