//! Runs programs in a host's container.

use std::{pin::pin, time::Duration};

use async_trait::async_trait;
use bollard::{
    Docker,
    container::LogOutput,
    exec::{ResizeExecOptions, StartExecOptions, StartExecResults},
    models::{ExecConfig, ExecInspectResponse},
    query_parameters::WaitContainerOptions,
};
use futures_util::{Stream, StreamExt};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, copy, duplex},
    sync::oneshot,
    time::{sleep, timeout},
};

use crate::{
    Error, Result,
    kernel::ExitStatus,
    programs::{FOLDER, INIT},
    runtime::{
        Command, Handle, Process, TerminalSize,
        docker::{errors::EngineContext, requests::READY},
    },
};

/// ^D.
const END_OF_INPUT: u8 = 4;
/// The capacity of a pipe, in bytes.
const PIPE: usize = 64 << 10;
/// The engine reports a program's end only after the last holder of its output has closed it. Until then it
/// is polled at this interval.
const ASK: Duration = Duration::from_millis(50);
/// Polling interval for the pid of a program that is just being started.
const ASK_PID: Duration = Duration::from_millis(1);
/// How long output may still arrive after the container has stopped.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The launcher's command line. The launcher becomes the command once the host's network is ready, and
/// reports a command that cannot be run the way a shell does.
fn launch(command: &Command, to_log: bool) -> Vec<String> {
    let mut argv = vec![format!("{FOLDER}/{INIT}"), "exec".into(), "--after".into(), READY.into()];
    if to_log {
        argv.push("--log".into());
    }
    if let Some(TerminalSize { rows, columns }) = command.terminal {
        argv.extend(["--size".into(), rows.to_string(), columns.to_string()]);
    }
    if let Some(folder) = &command.workdir {
        argv.extend(["--workdir".into(), folder.clone()]);
    }
    if command.unprivileged {
        argv.push("--unprivileged".into());
    }
    argv.push("--".into());
    argv.extend(command.argv.iter().cloned());
    argv
}

fn environment(command: &Command) -> Vec<String> {
    command.env.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// Starts a program whose output goes to the host's log.
pub async fn start(engine: &Docker, container: &str, command: &Command) -> Result<()> {
    let config = ExecConfig {
        cmd: Some(launch(command, true)),
        env: Some(environment(command)),
        ..ExecConfig::default()
    };
    let what = || format!("cannot start a program in {container}");
    let id = engine.create_exec(container, config).await.or_engine(what)?.id;
    let detached = StartExecOptions { detach: true, ..StartExecOptions::default() };
    engine.start_exec(&id, Some(detached)).await.or_engine(what).map(drop)
}

/// Runs a command on a host through the launcher.
pub async fn exec(engine: &Docker, container: &str, command: &Command) -> Result<Process> {
    let config = ExecConfig {
        cmd: Some(launch(command, false)),
        env: Some(environment(command)),
        tty: Some(command.terminal.is_some()),
        ..ExecConfig::default()
    };
    run(engine, container, config).await
}

/// Runs a program and returns its streams.
pub async fn run(engine: &Docker, container: &str, config: ExecConfig) -> Result<Process> {
    let what = || format!("cannot run a program in {container}");
    let tty = config.tty == Some(true);
    let config = ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..config
    };
    let id = engine.create_exec(container, config).await.or_engine(what)?.id;
    let options = StartExecOptions { tty, ..StartExecOptions::default() };
    let started = engine.start_exec(&id, Some(options)).await.or_engine(what)?;
    let StartExecResults::Attached { output, mut input } = started else {
        return Err(Error::lab(what()).caused_by("the engine returned no streams"));
    };
    let (stdin, mut typed) = duplex(PIPE);
    tokio::spawn(async move {
        // A program that has stopped reading is not an error of ours.
        let _ = copy(&mut typed, &mut input).await;
        if tty {
            // This ends a terminal's input. If the stream were closed, the engine would take it that the user
            // has left.
            let _ = input.write_all(&[END_OF_INPUT]).await;
            let _ = input.flush().await;
        } else {
            let _ = input.shutdown().await;
        }
    });
    let (stdout, out) = duplex(PIPE);
    let (stderr, err) = duplex(PIPE);
    let (ended, ends) = oneshot::channel();
    let stopped = stopped(engine.clone(), container.to_owned());
    tokio::spawn(async move {
        let mut passing = pin!(pass_on(output, out, err));
        tokio::select! {
            () = &mut passing => {}
            // The engine sometimes leaves the streams open when the container has stopped.
            () = stopped => drop(timeout(LAST_WORDS, passing).await),
        }
        // The caller may have dropped the process.
        let _ = ended.send(());
    });
    let pid = pid(engine, &id).await?;
    let handle = Box::new(Program { engine: engine.clone(), id, tty, ends, silent: false });
    Ok(Process { pid, stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: Box::new(stderr), handle })
}

/// Returns once the container has stopped or does not exist.
async fn stopped(engine: Docker, container: String) {
    let mut waiting = pin!(engine.wait_container(&container, None::<WaitContainerOptions>));
    // Any answer means that it has stopped.
    let _ = waiting.next().await;
}

/// Copies a program's output until the program has ended or nobody reads it.
async fn pass_on(
    mut output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin,
    mut out: DuplexStream,
    mut err: DuplexStream,
) {
    while let Some(Ok(printed)) = output.next().await {
        let to = if matches!(printed, LogOutput::StdErr { .. }) { &mut err } else { &mut out };
        // One stream may be closed while the other is still read; its output is dropped.
        let _ = to.write_all(printed.as_ref()).await;
    }
}

/// Returns the program's pid on the engine's machine. The engine answers before there is one.
async fn pid(engine: &Docker, id: &str) -> Result<i32> {
    loop {
        let state = inspect(engine, id).await?;
        match state.pid.and_then(|pid| i32::try_from(pid).ok()) {
            Some(pid @ 1..) => return Ok(pid),
            _ if state.exit_code.is_some() => {
                return Err(Error::lab("the engine could not start the program"));
            }
            _ => sleep(ASK_PID).await,
        }
    }
}

async fn inspect(engine: &Docker, id: &str) -> Result<ExecInspectResponse> {
    engine.inspect_exec(id).await.or_engine(|| "cannot ask the engine for a program")
}

struct Program {
    engine: Docker,
    id: String,
    tty: bool,
    /// Completes once nothing holds the program's output open.
    ends: oneshot::Receiver<()>,
    /// Whether `ends` has completed.
    silent: bool,
}

#[async_trait]
impl Handle for Program {
    async fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            let state = inspect(&self.engine, &self.id).await?;
            if let (Some(code), Some(false)) = (state.exit_code, state.running) {
                return Ok(ExitStatus::from_code(u8::try_from(code).unwrap_or(u8::MAX)));
            }
            if self.silent {
                sleep(ASK).await;
            } else {
                tokio::select! {
                    _ = &mut self.ends => self.silent = true,
                    () = sleep(ASK) => {}
                }
            }
        }
    }

    async fn resize(&self, size: TerminalSize) -> Result<()> {
        if !self.tty {
            return Ok(());
        }
        let options = ResizeExecOptions { height: size.rows, width: size.columns };
        self.engine.resize_exec(&self.id, options).await.or_engine(|| "cannot resize the terminal")
    }
}
