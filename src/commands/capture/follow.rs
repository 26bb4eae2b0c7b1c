//! `netlab capture follow`: shows a lab's packets as they pass.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use netlab::{
    Error,
    capture::{Decoder, Frame, Interface, RawPacket, Recorder, show::Lines},
    observer::{Seen, Session},
    printable::visible,
    topology::Plan,
};

use super::tape;
use crate::commands::lab::{LabArgs, block_on, interrupted};

/// Show a lab's packets as they pass, one per line like tcpdump, until ^C.
///
/// `netlab capture follow -w - | wireshark -k -i -` shows them in Wireshark.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write pcapng to FILE (`-` for standard output) instead of printing lines.
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    write: Option<PathBuf>,
    /// Show only packets from or to this TCP port; with --write, all packets are written.
    #[arg(long, conflicts_with = "write")]
    port: Option<u16>,
    /// Announce on standard output that the recording has begun, for `capture start`.
    #[arg(long, hide = true, requires = "write")]
    announce: bool,
    #[command(flatten)]
    lab: LabArgs,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let followed = block_on(async {
            let (runtime, lab) = self.lab.open().await?;
            let Some(path) = &self.write else {
                return self
                    .show(&mut Session::open(runtime.as_ref(), &self.lab.lab).await?, &lab.plan)
                    .await;
            };
            let open = |segments: &[Interface]| create(path, segments, &lab.plan);
            tape::record(runtime.as_ref(), &lab, path, self.announce, open).await
        });
        match followed {
            // The reader of the packets has gone (`| head`): a normal end, like ^C.
            Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            followed => followed.map(|()| ExitCode::SUCCESS),
        }
    }

    /// Shows packets as they pass. When interrupted, it first shows those that had already passed.
    async fn show(&self, session: &mut Session, plan: &Plan) -> Result<()> {
        let mut printer = Printer {
            lines: Lines::new(plan.addresses().collect()),
            decoder: Decoder::through_tunnels(),
            port: self.port,
        };
        tokio::select! {
            result = follow(session, &mut printer) => result,
            () = interrupted() => finish(session, &mut printer).await,
        }
    }
}

/// Opens a recorder that writes to the file, or to standard output for `-`.
fn create(path: &Path, segments: &[Interface], plan: &Plan) -> Result<Recorder> {
    if path != Path::new("-") {
        return Ok(Recorder::create(path, segments, plan.addresses())?);
    }
    if std::io::stdout().is_terminal() {
        return Err(Error::usage("a capture is binary and cannot go to a terminal")
            .hint("pipe it on, e.g. `| wireshark -k -i -`, or name a file")
            .into());
    }
    Ok(Recorder::to_stream(std::io::stdout(), segments, plan.addresses())?)
}

/// Prints packets, one line each.
struct Printer {
    lines: Lines,
    decoder: Decoder,
    port: Option<u16>,
}

async fn follow(session: &mut Session, printer: &mut Printer) -> Result<()> {
    loop {
        printer.take(&session.next().await?)?;
    }
}

/// Prints what has passed until now.
async fn finish(session: &mut Session, printer: &mut Printer) -> Result<()> {
    session.look().await?.iter().try_for_each(|seen| printer.take(seen))
}

impl Printer {
    fn take(&mut self, seen: &Seen) -> Result<()> {
        match seen {
            Seen::Packet(packet) => self.packet(packet),
            Seen::ObservationLost { why, .. } => {
                eprintln!("observation lost: {}", visible(why));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn packet(&mut self, packet: &RawPacket) -> Result<()> {
        let Self { lines, decoder, port } = self;
        let frame = Frame::from(packet);
        let (line, is_wanted) = match decoder.segment(&frame) {
            // Decoded in any case, so that sequence numbers count from the connection's start.
            Some(segment) => {
                let is_wanted = port.is_none_or(|p| [segment.src.port(), segment.dst.port()].contains(&p));
                (lines.segment(&segment), is_wanted)
            }
            None => (lines.frame(&frame), port.is_none()),
        };
        if is_wanted {
            writeln!(std::io::stdout(), "{line}")?;
        }
        Ok(())
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
