//! `netlab capture show`: the packets of a capture, a line each, and its TCP conversations.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use netlab::{
    Error,
    capture::{
        self, Conversation, Damage, Decoder, Ending, Frame, Reader, Segment,
        ladder::{self, Charset, Ladder},
        show::Lines,
    },
    printable::printable,
};
use serde::Serialize;

use crate::ui;

/// Where captures are, unless told otherwise.
const CAPTURES: &str = "captures";

/// How many packets a ladder shows unless told otherwise: more than anyone reads.
const RUNGS: u64 = 500;

/// Show a capture's packets, a line each, and its TCP conversations.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A pcap or pcapng file, the name of a recording, or - for the standard input [default: the newest under captures/]
    file: Option<PathBuf>,
    /// Print JSON instead: {"packets","dropped","conversations","damage"}.
    #[arg(long)]
    json: bool,
    /// Only TCP from or to this port.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// At most so many packets' lines or arrows; the table still tells of all packets.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
    /// Draw the TCP packets between the hosts as a ladder, with the states they imply.
    #[arg(long, conflicts_with = "json")]
    ladder: bool,
    /// Draw the ladder with ASCII characters only.
    #[arg(long, requires = "ladder")]
    ascii: bool,
}

#[derive(Serialize)]
struct Summary<'a> {
    packets: u64,
    /// How many more passed, as far as the file says.
    dropped: Option<u64>,
    conversations: Vec<&'a Conversation>,
    damage: Option<&'a Damage>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let file = match &self.file {
            Some(file) => named(file),
            None => capture::newest(Path::new(CAPTURES))?,
        };
        let mut reader = Reader::open(&file)?;
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let shown = self.show(&mut reader, Ending::of(&file), &mut out).and_then(|()| out.flush());
        if !ui::written(shown)? {
            return Ok(ExitCode::SUCCESS);
        }
        match reader.damage() {
            Some(damage) => Err(Error::usage(format!("{}: {damage}", file.display()))
                .hint("what could be read is shown")
                .into()),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    fn show(
        &self,
        reader: &mut Reader<Box<dyn io::Read>>,
        ending: Option<Ending>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let (mut decoder, mut lines, mut ladder) = (Decoder::new(), Lines::default(), Ladder::new());
        let most = self.limit.unwrap_or(if self.ladder { RUNGS } else { u64::MAX });
        let (mut packets, mut told, mut left) = (0, 0, 0);
        while let Some(frame) = reader.next(&mut lines.names) {
            let segment = decoder.segment(&frame);
            if !self.wants(segment.as_ref()) {
                continue;
            }
            packets += 1;
            let has_place = !self.json && (segment.is_some() || !self.ladder);
            let tells = has_place && told < most;
            told += u64::from(tells);
            left += u64::from(has_place && !tells);
            match segment {
                Some(segment) if self.ladder || !tells => {
                    let seen = lines.conversations.push(&segment);
                    if tells {
                        ladder.push(&segment, &seen);
                    }
                }
                segment if tells => writeln!(out, "{}", tell(&mut lines, &frame, segment.as_ref()))?,
                _ => {}
            }
        }
        lines.conversations.name(&lines.names);
        if self.json {
            let conversations = lines.conversations.iter().collect();
            let dropped = ending.map(|ending| ending.counts.dropped);
            let summary = Summary { packets, dropped, conversations, damage: reader.damage() };
            serde_json::to_writer(&mut *out, &summary)?;
            return writeln!(out);
        }
        if self.ladder {
            let charset = if self.ascii { Charset::ASCII } else { Charset::UNICODE };
            write!(out, "{}", ladder::draw(&ladder, &lines.names, charset))?;
        }
        if left > 0 {
            writeln!(out, "… and {left} more")?;
        }
        table(packets, &lines, out)?;
        ending.map_or(Ok(()), |ending| tell_ending(&ending, out))
    }

    fn wants(&self, segment: Option<&Segment<'_>>) -> bool {
        self.port.is_none_or(|port| segment.is_some_and(|s| s.src.port() == port || s.dst.port() == port))
    }
}

/// The file itself, or what `capture start NAME` records to.
fn named(file: &Path) -> PathBuf {
    let recorded = Path::new(CAPTURES).join(file).with_extension("pcapng");
    if file.exists() || !recorded.exists() { file.to_owned() } else { recorded }
}

fn tell(lines: &mut Lines, frame: &Frame<'_>, segment: Option<&Segment<'_>>) -> String {
    match segment {
        Some(segment) => lines.segment(segment),
        None => lines.frame(frame),
    }
}

/// Says what is not in the file, and why.
fn tell_ending(ending: &Ending, out: &mut impl Write) -> io::Result<()> {
    match ending.counts.dropped {
        0 => {}
        n => writeln!(out, "\nnot everything is here{}", super::dropped(n))?,
    }
    match &ending.comment {
        Some(comment) => writeln!(out, "\n{}", printable(comment)),
        None => Ok(()),
    }
}

fn table(packets: u64, lines: &Lines, out: &mut impl Write) -> io::Result<()> {
    let conversations = lines.conversations.iter();
    let count = conversations.len();
    writeln!(out, "\n{packets} packets, {count} TCP conversation{}", if count == 1 { "" } else { "s" })?;
    if count > 0 {
        let table = capture::show::table(conversations, &lines.names);
        for line in table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    Ok(())
}
