//! `netlab capture show`: shows the packets of a capture, one line each, and its TCP conversations.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use netlab::{
    Error,
    capture::{
        self, Conversations, Damage, Decoder, Ending, Frame, Names, Ordered, Reader, Segment,
        ladder::{self, Charset, Ladder},
        show::Lines,
        table,
    },
    printable::printable,
};
use serde::{Serialize, Serializer};

use super::counted;
use crate::ui;

/// The default folder of captures.
const CAPTURES: &str = "captures";

/// Default maximum of packets in a ladder: more than anyone reads.
const RUNGS: u64 = 500;
/// Default maximum of conversations in a table.
const ROWS: u64 = 1000;

/// Show a capture's packets, one line each, and its TCP conversations.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A pcap or pcapng file (it may be compressed with gzip or zstd), the name of a recording, or - for standard
    /// input [default: the newest under captures/]
    file: Option<PathBuf>,
    /// Print JSON instead: {"packets","dropped","conversations","damage"}.
    #[arg(long)]
    json: bool,
    /// Show only TCP from or to this port.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Maximum number of lines or arrows, and of rows in the table, or `all`; totals always count every packet
    /// [default: all lines, 500 arrows, 1000 rows]
    #[arg(long, value_name = "NUMBER", value_parser = limit)]
    limit: Option<u64>,
    /// Draw the TCP packets between the hosts as a ladder diagram, with the TCP states they imply.
    #[arg(long, conflicts_with = "json")]
    ladder: bool,
    /// Draw the ladder with ASCII characters only.
    #[arg(long, requires = "ladder")]
    ascii: bool,
}

#[derive(Serialize)]
struct Summary<'a> {
    packets: u64,
    /// Packets that passed but are not in the file, if the file says so.
    dropped: Option<u64>,
    #[serde(serialize_with = "each")]
    conversations: (&'a Conversations, &'a Names),
    damage: Option<&'a Damage>,
}

/// Serializes one conversation after another: all of them may be too many to hold twice.
fn each<S: Serializer>(all: &(&Conversations, &Names), serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(all.0.named(all.1))
}

/// Parses the value of `--limit`.
fn limit(text: &str) -> Result<u64, String> {
    match text {
        "all" => Ok(u64::MAX),
        number => number.parse().map_err(|_| "expected a number or `all`".into()),
    }
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let file = match &self.file {
            Some(file) => named(file),
            None => capture::newest(Path::new(CAPTURES))?,
        };
        let mut frames = Ordered::new(Reader::open(&file)?);
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let shown = self.show(&mut frames, Ending::of(&file), &mut out).and_then(|()| out.flush());
        if !ui::written(shown)? {
            return Ok(ExitCode::SUCCESS);
        }
        match frames.reader.damage() {
            Some(damage) => Err(Error::usage(format!("{}: {damage}", frames.reader.name()))
                .hint("what could be read is shown")
                .into()),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    fn show(
        &self,
        frames: &mut Ordered<Box<dyn io::Read>>,
        ending: Option<Ending>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let (mut decoder, mut lines, mut ladder) =
            (Decoder::through_tunnels(), Lines::default(), Ladder::new());
        let most = self.limit.unwrap_or(if self.ladder { RUNGS } else { u64::MAX });
        let (mut packets, mut shown, mut left) = (0, 0, 0);
        loop {
            // Before blocking for more input, show what there is.
            if frames.is_drained() {
                out.flush()?;
            }
            let Some(frame) = frames.next(&mut lines.names) else { break };
            let segment = decoder.segment(&frame);
            if !self.wants(segment.as_ref()) {
                continue;
            }
            packets += 1;
            let has_place = !self.json && (segment.is_some() || !self.ladder);
            let fits = has_place && shown < most;
            shown += u64::from(fits);
            left += u64::from(has_place && !fits);
            match segment {
                Some(segment) if self.ladder || !fits => {
                    let seen = lines.conversations.push(&segment);
                    if fits {
                        ladder.push(&segment, &seen);
                    }
                }
                segment if fits => writeln!(out, "{}", line(&mut lines, &frame, segment.as_ref()))?,
                _ => {}
            }
        }
        if self.json {
            let conversations = (&lines.conversations, &lines.names);
            let dropped = ending.map(|ending| ending.counts.dropped);
            let summary = Summary { packets, dropped, conversations, damage: frames.reader.damage() };
            serde_json::to_writer(&mut *out, &summary)?;
            return writeln!(out);
        }
        if self.ladder && shown > 0 {
            let charset = if self.ascii { Charset::ASCII } else { Charset::UNICODE };
            write!(out, "{}", ladder::draw(&ladder, &lines.names, charset))?;
        }
        if left > 0 {
            writeln!(out, "… and {left} more")?;
        }
        if shown + left > 0 {
            writeln!(out)?;
        }
        self.table(packets, &lines, out)?;
        ending.map_or(Ok(()), |ending| write_ending(&ending, out))
    }

    fn table(&self, packets: u64, lines: &Lines, out: &mut impl Write) -> io::Result<()> {
        let conversations = lines.conversations.len() as u64;
        writeln!(out, "{}, {}", counted(packets, "packet"), counted(conversations, "TCP conversation"))?;
        let most = self.limit.unwrap_or(ROWS).min(conversations);
        if most > 0 {
            table::write(
                out,
                &lines.conversations,
                &lines.names,
                usize::try_from(most).unwrap_or(usize::MAX),
            )?;
        }
        Ok(())
    }

    fn wants(&self, segment: Option<&Segment<'_>>) -> bool {
        self.port.is_none_or(|port| segment.is_some_and(|s| s.src.port() == port || s.dst.port() == port))
    }
}

/// Returns the file itself if it exists, else the file that `capture start NAME` records to.
fn named(file: &Path) -> PathBuf {
    let recorded = Path::new(CAPTURES).join(file).with_extension("pcapng");
    if file.exists() || !recorded.exists() { file.to_owned() } else { recorded }
}

fn line(lines: &mut Lines, frame: &Frame<'_>, segment: Option<&Segment<'_>>) -> String {
    match segment {
        Some(segment) => lines.segment(segment),
        None => lines.frame(frame),
    }
}

/// Writes what is missing from the file, and why.
fn write_ending(ending: &Ending, out: &mut impl Write) -> io::Result<()> {
    match ending.counts.dropped {
        0 => {}
        n => writeln!(out, "\nthe capture is incomplete{}", super::dropped(n))?,
    }
    match &ending.comment {
        Some(comment) => writeln!(out, "\n{}", printable(comment)),
        None => Ok(()),
    }
}
