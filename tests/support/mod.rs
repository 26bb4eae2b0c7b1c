//! Shared code of tests with whole labs: labs that are taken down on drop, and whether this machine offers a
//! runtime.

#![allow(dead_code, reason = "each binary uses its own part")]

pub mod engine;
pub mod room;
pub mod skip;
pub mod trials;

use std::{
    future::Future,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use netlab::{
    runtime::{self, Runtime, RuntimeKind, docker::Docker, namespaces::Namespaces},
    topology::{Plan, Topology},
    yaml::Document,
};

/// One server and two clients, like the default topology, and a variable to look for.
pub const ROOM: &str = "\
hosts:
  server: {role: server, run: tcpechod 8007, env: {COURSE: sockets}}
  client: {role: client, count: 2, env: {COURSE: sockets}}
";

/// A client and a server with a router between them.
pub const TWO_SEGMENTS: &str = "\
segments: {here: {}, there: {}}
hosts:
  router: {role: router, links: [here, there]}
  server: {role: server, links: [there], run: tcpechod 8007}
  client: {role: client, links: [here]}
";

/// Time limit of a case.
const CASE: Duration = Duration::from_secs(30);

/// Time limit for starting a lab: on Docker, its image may have to be built first.
const START: Duration = Duration::from_mins(10);

/// A lab that is taken down on drop.
pub struct Lab {
    pub runtime: Box<dyn Runtime>,
    pub name: String,
    pub plan: Plan,
}

static SHARED: [OnceLock<Lab>; 2] = [OnceLock::new(), OnceLock::new()];

impl Lab {
    /// Starts a lab from a topology's text, under a name that no other test uses.
    pub fn up(kind: RuntimeKind, topology: &str) -> Self {
        block_on(Self::start(kind, topology))
    }

    /// The same for untrusted programs.
    pub fn of_strangers(kind: RuntimeKind, topology: &str) -> Self {
        block_on(async {
            let name = unique("t");
            let runtime = open(kind).await.unwrap();
            let mut topology = parse(topology);
            topology.distrust();
            let plan = build_it(runtime.as_ref(), &name, &topology).await;
            Self { runtime, name, plan }
        })
    }

    /// The same in an async case.
    pub async fn start(kind: RuntimeKind, topology: &str) -> Self {
        let name = unique("t");
        let runtime = open(kind).await.unwrap();
        let plan = build(runtime.as_ref(), &name, topology).await;
        Self { runtime, name, plan }
    }

    /// A lab that several tests share, each leaving it as it was.
    pub fn shared(kind: RuntimeKind) -> &'static Self {
        SHARED[slot(kind)].get_or_init(|| Self::up(kind, ROOM))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        block_on_other_thread(|| async { drop(self.runtime.down(&self.name).await) });
    }
}

/// Builds a lab of that name, after clearing the remains of one.
pub async fn build(runtime: &dyn Runtime, name: &str, topology: &str) -> Plan {
    build_it(runtime, name, &parse(topology)).await
}

/// Parses a topology.
pub fn parse(topology: &str) -> Topology {
    let document = Document::parse("test.yaml", topology.as_bytes()).unwrap();
    Topology::from_document(document, Path::new("")).unwrap()
}

async fn build_it(runtime: &dyn Runtime, name: &str, topology: &Topology) -> Plan {
    let build = runtime::build(runtime, topology, name, &|_| ());
    match tokio::time::timeout(START, build).await.expect("a lab within ten minutes") {
        Ok(plan) => plan,
        Err(error) => panic!("{error}: {:?} ({:?})", std::error::Error::source(&error), error.hint),
    }
}

/// Takes down the shared labs. Statics are never dropped.
pub fn take_down_shared() {
    for lab in SHARED.iter().filter_map(OnceLock::get) {
        block_on(async { lab.runtime.down(&lab.name).await.unwrap() });
    }
}

/// Returns why this machine cannot offer the runtime, if it cannot. If everything has to run (`CI=true`), an
/// installed engine must answer.
pub fn available(kind: RuntimeKind) -> Option<String> {
    let error = block_on(open(kind)).err()?;
    let installed = kind == RuntimeKind::Docker && Path::new("/var/run/docker.sock").exists();
    assert!(!installed || std::env::var("CI").as_deref() != Ok("true"), "{error}");
    Some(error.to_string())
}

/// Returns a name that no other test uses, not even in another run at the same time.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Opens the runtime with the programs built for the tests.
pub async fn open(kind: RuntimeKind) -> netlab::Result<Box<dyn Runtime>> {
    let program = Path::new(env!("CARGO_BIN_EXE_netlab"));
    Ok(match kind {
        RuntimeKind::Docker => {
            Box::new(Docker::connect().await?.with_programs(program.parent().unwrap_or(Path::new("/"))))
        }
        RuntimeKind::Namespaces => {
            let namespaces = Namespaces::new().with_program(program);
            namespaces.available().await?;
            Box::new(namespaces)
        }
    })
}

/// Runs one case of a test to its end, with a limit of half a minute.
pub fn in_time(case: impl Future<Output = ()>) {
    block_on(async { tokio::time::timeout(CASE, case).await.expect("an end within half a minute") });
}

/// Runs a future to its end.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// The same inside a drop, which may happen on a thread that is already in a runtime.
fn block_on_other_thread<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| block_on(work()));
    });
}

/// Repeats `ask` until there is an answer, for at most ten seconds.
pub async fn eventually<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asking).await.expect("an answer within ten seconds")
}

/// Returns, for an Ethernet frame with IPv4 and TCP, whether the TCP checksum is right, and the payload.
pub fn tcp_checksum(frame: &[u8]) -> Option<(bool, &[u8])> {
    let packet = etherparse::SlicedPacket::from_ethernet(frame).ok()?;
    let (Some(etherparse::NetSlice::Ipv4(ip)), Some(etherparse::TransportSlice::Tcp(tcp))) =
        (packet.net, packet.transport)
    else {
        return None;
    };
    let right = tcp.to_header().calc_checksum_ipv4(&ip.header().to_header(), tcp.payload()).ok()?;
    Some((right == tcp.checksum(), tcp.payload()))
}

fn slot(kind: RuntimeKind) -> usize {
    usize::from(kind == RuntimeKind::Docker)
}
