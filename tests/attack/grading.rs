//! Attacks on marks: programs that somebody else wrote, and programs that exhaust resources.

use serde_json::{Value, json};

use crate::ground::{Ground, unique};

const SERVER: &str = include_str!("../labs/grade/server.c");
const HAND_OVER: &str = include_str!("hand_over.c");

const COURSE: &str = "\
sections: {\"2\": {}}
programs: [server]
limits: {seconds: 60, build_seconds: 10, disk: 16MiB, pids: 60, memory: 128MiB}
";
const BUILD: &str = "build: gcc -o /lab/program /lab/program.c\n";
const RUN: &str = "server: /lab/program {port}\n";

/// The attacks of this file.
pub fn add(add: &mut impl FnMut(&str, fn(&Ground))) {
    add("a_borrowed_program_gets_no_marks", a_borrowed_program_gets_no_marks);
    add("a_course_may_only_note_what_is_borrowed", a_course_may_only_note_what_is_borrowed);
    add(
        "what_a_process_from_before_serves_counts_for_nothing",
        what_a_process_from_before_serves_counts_for_nothing,
    );
    add(
        "who_takes_all_there_is_is_done_in_time_and_told_why",
        who_takes_all_there_is_is_done_in_time_and_told_why,
    );
    add("time_that_runs_out_is_not_given_again", time_that_runs_out_is_not_given_again);
}

/// A separate class in the ground's home.
struct Class<'g> {
    ground: &'g Ground,
    name: String,
}

impl<'g> Class<'g> {
    fn new(ground: &'g Ground, course: &str) -> Self {
        let name = unique();
        ground.write(&format!("{name}/course.yaml"), course);
        Self { ground, name }
    }

    fn hand_in(&self, student: &str, manifest: &str, files: &[(&str, &[u8])]) {
        let folder = format!("{}/class/{student}", self.name);
        self.ground.write(&format!("{folder}/netlab.yaml"), manifest);
        for (name, bytes) in files {
            self.ground.write(&format!("{folder}/{name}"), bytes);
        }
    }

    /// Hands in a program in C.
    fn hand_in_c(&self, student: &str, source: &str) {
        self.hand_in(student, &[BUILD, RUN].concat(), &[("program.c", source.as_bytes())]);
    }

    /// Grades the class; `None` on a ground without limits, which therefore grades nothing.
    fn grade(&self) -> Option<Grades> {
        let path = |name: &str| format!("{}/{name}", self.name);
        let (class, course, out) = (path("class"), path("course.yaml"), path("grades"));
        let arguments = ["grade", &class, "--course", &course, "--out", &out, "--jobs", "2", "--json"];
        let said = self.ground.run(&arguments);
        if said.stderr.contains("nothing would stop a program") {
            return None;
        }
        Some(Grades(serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said:?}"))))
    }
}

struct Grades(Value);

impl Grades {
    fn of(&self, name: &str) -> &Value {
        let all = self.0["students"].as_array().unwrap();
        all.iter().find(|s| s["student"] == name).unwrap_or_else(|| panic!("{name}: {:#}", self.0))
    }

    /// Returns what was observed for a student's checks that did not pass.
    fn observed(&self, name: &str) -> Vec<&str> {
        let sections = self.of(name)["sections"].as_array().unwrap();
        let checks = sections.iter().flat_map(|section| section["checks"].as_array().unwrap());
        let wrong = checks.filter(|check| check["verdict"] != "pass");
        wrong.map(|check| check["observed"].as_str().unwrap()).collect()
    }
}

/// A concurrent echo server.
const PYTHON: &[u8] = b"\
import os, signal, socket, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
passive = socket.socket()
passive.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
passive.bind(('', int(sys.argv[1])))
passive.listen(5)
while True:
    own, _ = passive.accept()
    if os.fork() == 0:
        passive.close()
        while data := own.recv(4096):
            own.sendall(data)
        os._exit(0)
    own.close()
";

/// Moves a program's contents to other offsets in its file.
const SHIFT: &[u8] = b"\
import struct, sys
old, by = bytearray(open(sys.argv[1], 'rb').read()), 0x10000
at, count = struct.unpack_from('<Q', old, 32)[0], struct.unpack_from('<H', old, 56)[0]
for field in [32] + [at + 56 * n + 8 for n in range(count)]:
    struct.pack_into('<Q', old, field, struct.unpack_from('<Q', old, field)[0] + by)
open(sys.argv[2], 'wb').write(old[:64] + bytes(by - 64) + old)
";

fn a_borrowed_program_gets_no_marks(ground: &Ground) {
    let class = Class::new(ground, COURSE);
    let listen = "TCP-LISTEN:{port},fork,reuseaddr EXEC:cat";
    let copy = format!("build: cp /usr/bin/socat /lab/server\nserver: /lab/server {listen}\n");
    class.hand_in("socat-copied", &copy, &[]);
    class.hand_in("socat-named", &format!("server: sh -c \"exec socat {listen}\" # /lab\n"), &[]);
    let strip = "strip -o /lab/small $(command -v tcpechod)";
    let append = format!("build: {strip} && cat /lab/small /lab/more >/lab/server && chmod +x /lab/server\n");
    class.hand_in("stripped", &format!("{append}server: /lab/server {{port}}\n"), &[("more", b"more")]);
    let shift = "python3 /lab/shift.py $(command -v tcpechod) /lab/server && chmod +x /lab/server";
    class.hand_in(
        "shifted",
        &format!("build: {shift}\nserver: /lab/server {{port}}\n"),
        &[("shift.py", SHIFT)],
    );
    class.hand_in("wrapped", "server: sh /lab/run.sh {port}\n", &[("run.sh", b"exec tcpechod \"$1\"\n")]);
    // Listens itself, and hands connections to a program of the system.
    let inetd = "{ dup2(fd, 0); dup2(fd, 1); close(fd); execl(\"/bin/cat\", \"cat\", (char *)0); }";
    class.hand_in_c("inetd", &SERVER.replace("            serve(fd);", inetd));

    class.hand_in_c("honest", SERVER);
    let fixed = ["build: gcc -O2 -static -o /lab/program /lab/program.c\n", RUN].concat();
    class.hand_in("static", &fixed, &[("program.c", SERVER.as_bytes())]);
    class.hand_in(
        "python",
        "server: sh -c \"cd /lab && exec python3 server.py {port}\"\n",
        &[("server.py", PYTHON)],
    );
    let elsewhere = "build: cp /lab/program.sh /tmp/program && gcc -o /tmp/server /lab/program.c\nserver: sh /tmp/program {port} # /lab\n";
    let script = ("program.sh", b"exec /tmp/server \"$1\"\n".as_slice());
    class.hand_in("elsewhere", elsewhere, &[("program.c", SERVER.as_bytes()), script]);

    let Some(grades) = class.grade() else { return };
    for (name, what) in [
        ("socat-copied", "socat"),
        ("socat-named", "socat"),
        ("stripped", "tcpechod"),
        ("shifted", "tcpechod"),
        ("wrapped", "tcpechod"),
        ("inetd", "cat"),
    ] {
        let of = grades.of(name);
        assert_eq!((&of["points"], &of["borrowed"]), (&json!(0.0), &json!([what])), "{name}: {of:#}");
        let why = format!("not the student's own: {what}");
        assert!(grades.observed(name).iter().all(|observed| *observed == why), "{of:#}");
    }
    for name in ["honest", "static", "python", "elsewhere"] {
        let of = grades.of(name);
        assert_eq!((&of["points"], &of["borrowed"]), (&json!(10.0), &json!([])), "{name}: {of:#}");
    }
}

fn a_course_may_only_note_what_is_borrowed(ground: &Ground) {
    let class = Class::new(ground, &[COURSE, "borrowed: note\n"].concat());
    class.hand_in("wrapped", "server: sh /lab/run.sh {port}\n", &[("run.sh", b"exec tcpechod \"$1\"\n")]);
    let Some(grades) = class.grade() else { return };
    let of = grades.of("wrapped");
    assert_eq!((&of["points"], &of["borrowed"]), (&json!(10.0), &json!(["tcpechod"])), "{of:#}");
}

fn what_a_process_from_before_serves_counts_for_nothing(ground: &Ground) {
    let class = Class::new(ground, COURSE);
    let build = "build: gcc -o /lab/program /lab/program.c && (setsid /lab/program serve >/dev/null 2>&1 </dev/null &)\n";
    class.hand_in("before", &[build, RUN].concat(), &[("program.c", HAND_OVER.as_bytes())]);
    class.hand_in("honest", &[build, RUN].concat(), &[("program.c", SERVER.as_bytes())]);
    let Some(grades) = class.grade() else { return };
    assert_eq!(grades.of("honest")["points"], 10.0, "{:#}", grades.of("honest"));
    let observed = grades.observed("before");
    let told = "not counted: 2 served by a process that was there before the program";
    assert!(observed.iter().any(|observed| observed.contains(told)), "{observed:#?}");
    let checks = grades.of("before")["sections"][0]["checks"].as_array().unwrap();
    let back = checks.iter().find(|check| check["id"] == "lines-come-back").unwrap();
    assert_eq!(back["verdict"], "fail", "{back:#}");
}

fn who_takes_all_there_is_is_done_in_time_and_told_why(ground: &Ground) {
    let sections = COURSE.replace("sections: {\"2\": {}}", "sections: {\"2\": {}, \"5\": {}}");
    let class = Class::new(ground, &sections.replace("seconds: 60,", "seconds: 150,"));
    let multiply = "if (atoi(argv[argc - 1]) != 8002) for (;;) fork();\n    int passive = socket";
    class.hand_in_c("multiplies", &SERVER.replacen("int passive = socket", multiply, 1));
    class.hand_in_c("eats", "#include <stdlib.h>\n#include <string.h>\nint main(void) { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }\n");
    let stop = "build: kill -STOP $PPID; sleep 1000\n";
    class.hand_in("stops", &[stop, RUN].concat(), &[("program.c", SERVER.as_bytes())]);
    let fill = "build: cat /dev/zero >/lab/zeros\n";
    class.hand_in("fills", &[fill, RUN].concat(), &[("program.c", SERVER.as_bytes())]);
    class.hand_in("prints", &["build: yes\n", RUN].concat(), &[("program.c", SERVER.as_bytes())]);
    class.hand_in_c("honest", SERVER);

    let Some(grades) = class.grade() else { return };
    let honest = grades.of("honest");
    assert_eq!(honest["points"], 10.0, "{honest:#}");
    // About ten times what it takes alone: other tests may be running.
    assert!(honest["elapsed_ms"].as_u64() < Some(60_000), "{honest:#}");
    for (name, points, why) in [
        ("multiplies", 5.0, "your program reached its limit of 60 processes"),
        ("eats", 0.0, "as one is that takes more than its 128 MiB of memory"),
    ] {
        let observed = grades.observed(name);
        assert_eq!(grades.of(name)["points"], points, "{name}: {observed:#?}");
        assert!(observed.iter().all(|observed| observed.contains(why)), "{name}: {observed:#?}");
    }
    for (name, why) in [
        ("stops", "(time ran out: it had 10 s)"),
        ("fills", "failed (exit 1)"),
        ("prints", "(time ran out: it had 10 s)"),
    ] {
        let told = grades.of(name)["why"].as_str().unwrap();
        assert!(told.starts_with("did not compile: ") && told.contains(why), "{name}: {told}");
    }
    for name in ["multiplies", "eats", "stops", "fills", "prints"] {
        let of = grades.of(name);
        assert!(of["status"] == "graded" && of["elapsed_ms"].as_u64() < Some(150_000), "{name}: {of:#}");
    }
}

fn time_that_runs_out_is_not_given_again(ground: &Ground) {
    let limits = COURSE.replace("seconds: 60, build_seconds: 10", "seconds: 20, build_seconds: 60");
    let class = Class::new(ground, &limits);
    class.hand_in("slow", "build: sleep 1000\nserver: /lab/x {port}\n", &[("a.c", b"int a;\n")]);
    let Some(grades) = class.grade() else { return };
    let slow = grades.of("slow");
    let why = "your program was still running when the 20 s for all sections were up";
    assert_eq!((&slow["status"], &slow["why"]), (&json!("graded"), &json!(why)), "{slow:#}");
    assert!(slow["elapsed_ms"].as_u64() < Some(39_000), "once, not twice: {slow:#}");
}
