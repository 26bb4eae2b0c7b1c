//! `netlab capture follow`: the packets of a lab as they pass.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use netlab::{
    Error,
    capture::{Decoder, Frame, Recorder, recordings, show::Lines},
    observer::{Seen, Session, protocol::RawPacket},
    printable::visible,
    topology::Plan,
};

use crate::commands::lab::{LabArgs, block_on, interrupted};

/// Show a lab's packets as they pass, one a line as tcpdump does, until ^C.
///
/// `netlab capture follow -w - | wireshark -k -i -` shows them in Wireshark.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write pcapng to FILE, or with `-` to standard output, instead of lines.
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    write: Option<PathBuf>,
    /// Only packets from or to this TCP port; a file gets all.
    #[arg(long, conflicts_with = "write")]
    port: Option<u16>,
    /// Say on standard output that the recording has begun, for `capture start`.
    #[arg(long, hide = true, requires = "write")]
    announce: bool,
    #[command(flatten)]
    lab: LabArgs,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        block_on(async {
            let (runtime, lab) = self.lab.open().await?;
            let mut session = Session::open(runtime.as_ref(), &self.lab.lab).await?;
            let mut sink = self.open_sink(&session, &lab.plan)?;
            let mark = match &self.write {
                Some(path) if self.announce => {
                    let mark = recordings::mark(path)?;
                    println!("{}", super::record::RECORDING);
                    Some(mark)
                }
                _ => None,
            };
            let followed = tokio::select! {
                result = follow(&mut session, &mut sink) => result,
                () = interrupted() => finish(&mut session, &mut sink).await,
            };
            drop(mark);
            if !self.announce
                && let (Some(path), Sink::File(recorder)) = (&self.write, &sink)
            {
                eprintln!("{} packets in {}", recorder.count(), path.display());
            }
            match followed {
                // Whoever read the packets has gone (`| head`), which is an end like ^C.
                Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
                followed => followed.map(|()| ExitCode::SUCCESS),
            }
        })
    }

    fn open_sink(&self, session: &Session, plan: &Plan) -> Result<Sink> {
        let segments = &session.watch.segments;
        let Some(path) = &self.write else {
            return Ok(Sink::Lines {
                lines: Lines::new(plan.addresses().collect()),
                decoder: Decoder::new(),
                port: self.port,
            });
        };
        if path != Path::new("-") {
            return Ok(Sink::File(Recorder::create(path, segments, plan.addresses())?));
        }
        if std::io::stdout().is_terminal() {
            return Err(Error::usage("a capture is no text for a terminal")
                .hint("pipe it on, as `| wireshark -k -i -`, or name a file")
                .into());
        }
        Ok(Sink::File(Recorder::to_stream(std::io::stdout(), segments, plan.addresses())?))
    }
}

/// Where packets go.
enum Sink {
    Lines { lines: Lines, decoder: Decoder, port: Option<u16> },
    File(Recorder),
}

async fn follow(session: &mut Session, sink: &mut Sink) -> Result<()> {
    loop {
        sink.take(&session.next().await?)?;
    }
}

/// Takes in what has passed until now.
async fn finish(session: &mut Session, sink: &mut Sink) -> Result<()> {
    session.look().await?.iter().try_for_each(|seen| sink.take(seen))
}

impl Sink {
    fn take(&mut self, seen: &Seen) -> Result<()> {
        match seen {
            Seen::Packet(packet) => self.packet(packet),
            Seen::Blind { why, .. } => {
                eprintln!("not everything can be seen: {}", visible(why));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn packet(&mut self, packet: &RawPacket) -> Result<()> {
        let (lines, decoder, port) = match self {
            Self::File(recorder) => return Ok(recorder.packet(packet)?),
            Self::Lines { lines, decoder, port } => (lines, decoder, *port),
        };
        let frame = Frame::from(packet);
        let (line, is_wanted) = match decoder.segment(&frame) {
            // Told in any case, so that sequence numbers count from the connection's start.
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
