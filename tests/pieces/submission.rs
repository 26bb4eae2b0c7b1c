//! `netlab submit`, and reading submissions from anybody.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Write},
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
};

use assert_cmd::cargo::cargo_bin_cmd;
use flate2::{Compression, write::GzEncoder};
use netlab::class::submission::{Class, pack};
use tempfile::TempDir;

/// A small workspace, with files that do not belong in a submission.
fn workspace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("netlab.yaml"), "server: /lab/TCPEchod {port}\n").unwrap();
    fs::create_dir_all(at("src")).unwrap();
    fs::write(at("src/server.c"), "int main(void) { return 0; }\n").unwrap();
    fs::write(at("server.o"), "made").unwrap();
    fs::write(at("TCPEchod"), b"\x7fELF made").unwrap();
    fs::create_dir_all(at(".git")).unwrap();
    fs::write(at(".git/config"), "x").unwrap();
    let run = at("captures/exercise-2");
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("evidence.json"), "{}").unwrap();
    fs::write(run.join("capture.pcapng"), "packets").unwrap();
    folder
}

/// The contents of an archive, by name.
fn names(archive: &Path) -> Vec<String> {
    let file = flate2::read::GzDecoder::new(File::open(archive).unwrap());
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries().unwrap();
    entries.map(|e| e.unwrap().path().unwrap().display().to_string()).collect()
}

#[test]
fn sources_hashes_and_evidence_are_packed() {
    let workspace = workspace();
    let out = tempfile::tempdir().unwrap();
    let archive = out.path().join("ana.tar.gz");
    let mut command = cargo_bin_cmd!("netlab");
    let output = command.args(["submit", "--json", "-o"]).arg(&archive).arg(workspace.path()).assert();
    let packed: serde_json::Value = serde_json::from_slice(&output.success().get_output().stdout).unwrap();
    assert_eq!(packed["sources"].as_object().unwrap().len(), 2, "{packed}");
    assert_eq!(
        names(&archive),
        [
            "netlab.yaml",
            "src/server.c",
            ".netlab/run/evidence.json",
            ".netlab/run/capture.pcapng",
            ".netlab/manifest.json",
        ]
    );

    let class = Class::open(out.path(), Path::new("grades")).unwrap();
    let [ana] = class.submissions.as_slice() else { panic!("{class:?}") };
    let sources = ana.open().unwrap();
    assert_eq!((ana.student.as_str(), ana.key.as_str()), ("ana", "ana"));
    assert!(sources.path().join("src/server.c").exists());
    assert!(!sources.path().join(".netlab").exists(), "evidence is not for the grader");
    assert_eq!(sources.manifest.as_ref().unwrap().files["src/server.c"], packed["sources"]["src/server.c"]);
    assert_eq!(sources.differences().unwrap(), Vec::<String>::new());
    fs::write(sources.path().join("src/server.c"), "changed").unwrap();
    assert_eq!(sources.differences().unwrap(), ["src/server.c"]);
}

#[test]
fn what_is_no_workspace_or_leads_out_of_it_is_refused() {
    let folder = workspace();
    let submit = |folder: &Path| {
        let mut command = cargo_bin_cmd!("netlab");
        let failed = command.current_dir(folder).arg("submit").assert().code(2);
        String::from_utf8_lossy(&failed.get_output().stderr).into_owned()
    };
    symlink("/etc/passwd", folder.path().join("notes.txt")).unwrap();
    let error = submit(folder.path());
    assert!(error.contains("notes.txt leads out of the folder") && error.contains("hint"), "{error}");
    fs::remove_file(folder.path().join("notes.txt")).unwrap();
    File::create(folder.path().join("data")).unwrap().set_len(5 << 20).unwrap();
    let error = submit(folder.path());
    assert!(error.contains("data has 5120 KiB; the limit is 4096 KiB"), "{error}");
    assert!(submit(&folder.path().join("src")).contains("netlab init"));
}

#[test]
fn a_link_within_the_folder_becomes_a_file() {
    let folder = workspace();
    symlink("src/server.c", folder.path().join("main.c")).unwrap();
    let archive = folder.path().join("x.tar.gz");
    pack(folder.path(), &archive).unwrap();
    assert!(names(&archive).contains(&"main.c".to_owned()));
}

/// A `.tar.gz` with entries appended by hand.
fn tarball(path: &Path, fill: impl FnOnce(&mut tar::Builder<GzEncoder<File>>)) {
    let mut builder = tar::Builder::new(GzEncoder::new(File::create(path).unwrap(), Compression::fast()));
    fill(&mut builder);
    builder.into_inner().unwrap().finish().unwrap();
}

/// A header with an unchecked name, which `tar` itself would not write.
fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

#[test]
fn hostile_archives_are_refused_and_touch_nothing_outside() {
    use tar::EntryType::{Char, Link, Regular, Symlink};
    let folder = tempfile::tempdir().unwrap();
    let class = folder.path().join("class");
    fs::create_dir(&class).unwrap();
    let at = |name: &str| class.join(format!("{name}.tar.gz"));
    let one = |name: &str, entry: &str, kind| {
        tarball(&at(name), |tar| tar.append(&header(entry, kind, 3), b"bad".as_slice()).unwrap());
    };
    let outside = folder.path().join("outside");
    one("absolute", outside.to_str().unwrap(), Regular);
    one("upwards", "../outside", Regular);
    one("device", "null", Char);
    let link = |name: &str, kind| {
        tarball(&at(name), |tar| {
            let mut header = header("link", kind, 0);
            header.set_link_name(folder.path()).unwrap();
            header.set_cksum();
            tar.append(&header, std::io::empty()).unwrap();
            tar.append(&self::header("link/outside", Regular, 3), b"bad".as_slice()).unwrap();
        });
    };
    link("hard", Link);
    link("soft", Symlink);
    tarball(&at("bomb"), |tar| {
        tar.append(&header("zeros", Regular, 1 << 30), std::io::repeat(0).take(8 << 20)).unwrap();
    });
    tarball(&at("many"), |tar| {
        for n in 0..2001 {
            tar.append(&header(&format!("f{n}"), Regular, 0), std::io::empty()).unwrap();
        }
    });
    fs::write(at("noise"), "no archive").unwrap();
    fs::write(at("cut"), &fs::read(at("many")).unwrap()[..500]).unwrap();
    tarball(&at("number"), |tar| {
        let mut header = header("a", Regular, 3);
        header.as_mut_bytes()[148..156].copy_from_slice(b"not oct.");
        tar.append(&header, b"bad".as_slice()).unwrap();
    });

    let refused: Vec<(String, String)> = Class::open(&class, Path::new("grades"))
        .unwrap()
        .submissions
        .iter()
        .map(|s| (s.student.clone(), s.open().expect_err(&s.student).to_string()))
        .collect();
    let why = |name: &str| &refused.iter().find(|(student, _)| student == name).unwrap().1;
    assert_eq!(refused.len(), 10);
    assert!(why("absolute").contains("is an absolute path"), "{refused:?}");
    assert!(why("upwards").contains("leads out of its folder"), "{refused:?}");
    assert_eq!(why("device"), "null is a device");
    assert_eq!(why("hard"), "link is a hard link");
    assert_eq!(why("soft"), "link is a symbolic link");
    let wrong = "the archive is damaged: a header, a checksum or the compressed data is wrong";
    assert_eq!(why("bomb"), wrong);
    assert!(why("many").contains("more than 2000 files"), "{refused:?}");
    assert!(why("noise").contains("neither tar"), "{refused:?}");
    assert_eq!(why("cut"), "the archive is damaged: it ends too early");
    assert_eq!(why("number"), wrong, "and no word of a library");
    assert!(!outside.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the class");
}

/// A zip of a class as from Moodle.
fn moodle(path: &Path, files: &[(&str, Vec<u8>)]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default()
        .last_modified_time(zip::DateTime::from_date_and_time(2026, 11, 20, 12, 30, 0).unwrap());
    for (name, content) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn the_zip_of_a_learning_platform_is_a_class() {
    let workspace = workspace();
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("w.tar.gz");
    pack(workspace.path(), &archive).unwrap();
    let packed = fs::read(&archive).unwrap();
    let zip: PathBuf = folder.path().join("class.zip");
    moodle(
        &zip,
        &[
            ("Gil Ana_11_assignsubmission_file_/ana.tar.gz", packed.clone()),
            ("Li Wei_12_assignsubmission_file_wei.tar.gz", packed.clone()),
            ("Kim Jo_13_assignsubmission_file_/jo/netlab.yaml", b"server: x\n".to_vec()),
            ("Kim Jo_13_assignsubmission_file_/jo/a.c", b"int x;\n".to_vec()),
            ("Two_14_assignsubmission_file_/a.tar.gz", packed.clone()),
            ("Two_14_assignsubmission_file_/b.tar.gz", packed),
            ("Zed_15_assignsubmission_file_/video.mp4", vec![0; (64 << 20) + 1]),
            ("Zed_15_assignsubmission_file_/netlab.yaml", b"server: x\n".to_vec()),
            ("read me.txt", b"hello".to_vec()),
        ],
    );
    let class = Class::open(&zip, Path::new("grades")).unwrap();
    let told: Vec<_> =
        class.submissions.iter().map(|s| (s.student.as_str(), s.number.as_deref().unwrap())).collect();
    assert_eq!(told, [("Gil Ana", "11"), ("Kim Jo", "13"), ("Li Wei", "12"), ("Two", "14"), ("Zed", "15")]);
    assert_eq!(class.skipped, ["read me.txt"]);
    for submission in &class.submissions[..3] {
        assert!(submission.open().unwrap().path().join("netlab.yaml").exists(), "{submission:?}");
    }
    let same = |n: usize| class.submissions[n].open().unwrap().hash().unwrap();
    assert_eq!(same(0), same(2), "the same sources have the same hash");
    assert_ne!(same(0), same(1));
    let why = class.submissions[3].open().unwrap_err().to_string();
    assert!(why.contains("2 archives"), "{why}");
    let zed = &class.submissions[4];
    assert_eq!(zed.left_out, [Path::new("Zed_15_assignsubmission_file_/video.mp4")]);
    assert!(zed.open().unwrap().path().join("netlab.yaml").exists());
    let noon = "2026-11-20T12:30:00".parse::<jiff::civil::DateTime>().unwrap();
    let noon = noon.to_zoned(jiff::tz::TimeZone::system()).unwrap().timestamp();
    for folder_or_archive in &class.submissions[..2] {
        assert_eq!(folder_or_archive.received, Some(noon));
    }
}

/// A regular file in a tar.
fn put(tar: &mut tar::Builder<GzEncoder<File>>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content).unwrap();
}

const YAML: &[u8] = b"server: /lab/a {port}\n";

#[test]
fn right_work_is_taken_however_it_is_packed() {
    let class = tempfile::tempdir().unwrap();
    let at = |name: &str| class.path().join(name);
    let pack = |name: &str, besides: &[(&str, &[u8])]| {
        tarball(&at(name), |tar| {
            besides.iter().for_each(|(name, content)| put(tar, name, content));
            put(tar, "ana/netlab.yaml", YAML);
            put(tar, "ana/a.c", b"int a;\n");
        });
    };
    let long = vec![b'x'; 5 << 20];
    pack("mac.tar.gz", &[("._ana", b"mac"), (".DS_Store", b"mac"), ("ana/._a.c", b"mac")]);
    pack(
        "beside.TGZ",
        &[("LEEME.txt", b"hola"), ("__MACOSX/ana/._a.c", b"mac"), ("old/ana/netlab.yaml", YAML)],
    );
    pack("long.tar.gz", &[("ana/informe.pdf", &long)]);
    pack("twice.tar.gz", &[("ana/a.c", b"int old;\n"), ("ana/netlab.yaml", b"server: old\n")]);
    moodle(&at("windows.zip"), &[("ana\\netlab.yaml", YAML.to_vec()), ("ana\\a.c", b"int a;\n".to_vec())]);
    let ana = at("folder/ana");
    fs::create_dir_all(&ana).unwrap();
    for (name, content) in
        [("../.DS_Store", b"mac".as_slice()), ("netlab.yaml", YAML), ("informe.pdf", &long)]
    {
        fs::write(ana.join(name), content).unwrap();
    }
    fs::write(ana.join("a.c"), "int a;\n").unwrap();

    let class = Class::open(class.path(), Path::new("grades")).unwrap();
    let names: Vec<&str> = class.submissions.iter().map(|s| s.student.as_str()).collect();
    assert_eq!(names, ["beside", "folder", "long", "mac", "twice", "windows"]);
    for submission in &class.submissions {
        let sources = submission.open().unwrap();
        let read = |name: &str| fs::read(sources.path().join(name)).unwrap_or_default();
        assert_eq!(
            (read("netlab.yaml"), read("a.c")),
            (YAML.to_vec(), b"int a;\n".to_vec()),
            "{submission:?}"
        );
        assert_eq!(fs::read_dir(sources.path()).unwrap().count(), 2, "{submission:?}");
        let left_out = ["long", "folder"].contains(&submission.student.as_str());
        assert_eq!(sources.left_out.len(), usize::from(left_out), "{submission:?}");
    }
}

#[test]
fn which_workspace_counts_must_be_clear() {
    let class = tempfile::tempdir().unwrap();
    tarball(&class.path().join("ana.tar.gz"), |tar| {
        put(tar, "one/netlab.yaml", YAML);
        put(tar, "two/netlab.yaml", YAML);
    });
    let class = Class::open(class.path(), Path::new("grades")).unwrap();
    let why = class.submissions[0].open().unwrap_err().to_string();
    assert!(why.contains("one/netlab.yaml and two/netlab.yaml"), "{why}");
}

#[test]
fn nobody_who_handed_in_anything_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let class = folder.path().join("class");
    fs::create_dir(&class).unwrap();
    for name in ["a.7z", "b.tar.xz", "c.tar.bz2", "d.RAR", "notes.txt"] {
        fs::write(class.join(name), "x").unwrap();
    }
    let told = |class: &Class| -> Vec<(String, String)> {
        let why = |s: &netlab::class::submission::Submission| {
            s.open().map_or_else(|e| e.to_string(), |_| "taken".into())
        };
        class.submissions.iter().map(|s| (s.student.clone(), why(s))).collect()
    };
    let row = |name: &str, why: &str| (name.to_owned(), why.to_owned());
    let unread = |ending: &str| format!("{ending} is not supported: hand in .tar.gz or .zip");
    let of_folder = Class::open(&class, Path::new("grades")).unwrap();
    assert_eq!(
        told(&of_folder),
        [".7z", ".tar.xz", ".tar.bz2", ".rar"]
            .iter()
            .zip(["a", "b", "c", "d"])
            .map(|(e, n)| row(n, &unread(e)))
            .collect::<Vec<_>>()
    );
    assert_eq!(of_folder.skipped, ["notes.txt"]);

    let inner = folder.path().join("inner.zip");
    moodle(&inner, &[("netlab.yaml", YAML.to_vec())]);
    let inner = fs::read(inner).unwrap();
    let zip = folder.path().join("class.zip");
    moodle(
        &zip,
        &[
            ("Ana_1_assignsubmission_file_x.rar", b"x".to_vec()),
            ("Bea_2_assignsubmission_file_X.ZIP", inner.clone()),
            ("Cleo_3_assignsubmission_file_server.c", b"int a;\n".to_vec()),
            ("Cleo_3_assignsubmission_file_netlab.yaml", YAML.to_vec()),
            ("Dan_4_assignsubmission_file_/w.zip", inner.clone()),
            ("Dan_4_assignsubmission_file_/._w.zip", b"mac".to_vec()),
            ("Dan_4_assignsubmission_onlinetext/onlinetext.html", b"hello".to_vec()),
            ("Eli_5_assignsubmission_file_a.zip", inner.clone()),
            ("Eli_5_assignsubmission_file_b.zip", inner),
            ("Fay_6_assignsubmission_onlinetext/onlinetext.html", b"hello".to_vec()),
            ("Gus_7_assignsubmission_file_/../../x", b"hello".to_vec()),
        ],
    );
    let of_zip = Class::open(&zip, Path::new("grades")).unwrap();
    assert_eq!(
        told(&of_zip),
        [
            row("Ana", &unread(".rar")),
            row("Bea", "taken"),
            row("Cleo", "taken"),
            row("Dan", "taken"),
            row("Eli", "there are 2 archives, and it is unclear which one counts"),
            row("Fay", "only text was handed in, no file"),
            row("Gus", "the name \"Gus_7_assignsubmission_file_/../../x\" leads out of its folder"),
        ]
    );
    let cleo = of_zip.submissions[2].open().unwrap();
    assert!(cleo.path().join("server.c").exists() && cleo.path().join("netlab.yaml").exists());
    let received: Vec<bool> = of_zip.submissions.iter().map(|s| s.received.is_some()).collect();
    assert_eq!(received, [true, true, true, true, true, false, false], "never when it was unpacked");
}

#[test]
fn no_link_leads_out_of_a_class_and_nobody_vanishes() {
    use std::os::unix::fs::symlink;
    let room = tempfile::tempdir().unwrap();
    let at = |name: &str| room.path().join(name);
    let solution = |tar: &mut tar::Builder<GzEncoder<File>>| {
        put(tar, "netlab.yaml", YAML);
    };
    tarball(&at("solution.tar.gz"), solution);
    fs::create_dir_all(at("class/inner")).unwrap();
    tarball(&at("class/inner/real.tar.gz"), solution);
    symlink("real.tar.gz", at("class/inner/.hidden.tar.gz")).unwrap();
    fs::create_dir(at("class/links")).unwrap();
    symlink("../../solution.tar.gz", at("class/links/ws.tar.gz")).unwrap();
    symlink("../solution.tar.gz", at("class/top.tar.gz")).unwrap();
    fs::create_dir(at("class/vanishes")).unwrap();
    fs::write(at("class/vanishes/.netlab-grades"), "").unwrap();
    fs::write(at("class/vanishes/netlab.yaml"), YAML).unwrap();
    fs::create_dir(at("class/grades")).unwrap();
    fs::write(at("class/grades/.netlab-grades"), "").unwrap();

    let class = Class::open(&at("class"), &at("class/grades")).unwrap();
    let told: Vec<(&str, String)> = class
        .submissions
        .iter()
        .map(|s| (s.student.as_str(), s.open().map_or_else(|e| e.to_string(), |_| "taken".into())))
        .collect();
    assert_eq!(
        told.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["inner", "links", "top", "vanishes"],
        "{told:?}"
    );
    assert_eq!(told[0].1, "taken");
    for ((name, why), words) in told[1..].iter().zip([
        "the link ws.tar.gz leads out",
        "the link top.tar.gz leads out",
        "it contains .netlab-grades",
    ]) {
        assert!(why.starts_with(words), "{name}: {why}");
    }
    assert_eq!(class.skipped, ["grades"]);
}

#[test]
fn a_name_shows_as_what_it_is() {
    let class = tempfile::tempdir().unwrap();
    tarball(&class.path().join("a\u{202e}nim\u{2028}da\u{1b}[2J.tar.gz"), |tar| {
        put(tar, "netlab.yaml", YAML);
    });
    let class = Class::open(class.path(), Path::new("grades")).unwrap();
    assert_eq!(class.submissions[0].student, "a\\u{202e}nim\\u{2028}da\\u{1b}[2J");
}

#[test]
fn an_archive_may_be_called_anything() {
    let (workspace, out) = (workspace(), tempfile::tempdir().unwrap());
    let archive = out.path().join(OsStr::from_bytes(b"pr\xe1ctica.tar.gz"));
    let mut command = cargo_bin_cmd!("netlab");
    let output = command.args(["submit", "--json", "-o"]).arg(&archive).arg(workspace.path()).assert();
    let packed: serde_json::Value = serde_json::from_slice(&output.success().get_output().stdout).unwrap();
    assert_eq!(packed["archive"], out.path().join("pr\u{fffd}ctica.tar.gz").to_str().unwrap());
    assert!(archive.exists());
}
