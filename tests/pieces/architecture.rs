//! The order of the library's modules, as in ARCHITECTURE.md.

use std::{collections::BTreeSet, fs, path::Path};

use regex::Regex;

/// Modules outside the order: the functions for the fuzzer use all of them.
const OUTSIDE: [&str; 1] = ["fuzz"];

#[test]
fn modules_use_only_those_before_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let order = order(&fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    let library = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let declared = Regex::new(r"(?m)^(?:pub )?mod ([a-z_]+);").unwrap();
    let declared: BTreeSet<_> = declared.captures_iter(&library).map(|c| c[1].to_owned()).collect();
    let listed: BTreeSet<_> = order.iter().cloned().chain(OUTSIDE.map(str::to_owned)).collect();
    assert_eq!(declared, listed, "ARCHITECTURE.md lists every module of the library once");

    let place = |module: &str| order.iter().position(|m| m == module);
    let mut wrong = Vec::new();
    for module in &order {
        let mut code = String::new();
        read(&root.join("src").join(module), &mut code);
        read(&root.join("src").join(format!("{module}.rs")), &mut code);
        let used = used(&code);
        let later = used.iter().filter(|other| place(other) > place(module));
        wrong.extend(later.map(|other| format!("{module} uses {other}")));
    }
    assert!(wrong.is_empty(), "against the order in ARCHITECTURE.md: {wrong:#?}");
}

/// Cargo only runs files that some `mod` names; others would be forgotten.
#[test]
fn no_test_file_is_forgotten() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let stray = fs::read_dir(&tests).unwrap().map(|entry| entry.unwrap().path());
    let stray: Vec<_> = stray.filter(|path| path.is_file()).collect();
    assert!(stray.is_empty(), "each of these would be a program of its own: {stray:?}");
    let mut forgotten = Vec::new();
    for program in ["pieces", "labs", "attack", "faults", "support"] {
        forget(&tests.join(program), &mut forgotten);
    }
    assert!(forgotten.is_empty(), "no `mod` names these: {forgotten:?}");
}

/// Adds the files of a folder and of its subfolders that neither it nor the folder above declares as modules.
fn forget(folder: &Path, forgotten: &mut Vec<String>) {
    let entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let root = ["main.rs", "mod.rs"].map(|name| fs::read_to_string(folder.join(name)).unwrap_or_default());
    for path in &entries {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_code =
            path.extension().is_some_and(|e| e == "rs") && !["main", "mod"].contains(&name.as_str());
        let is_module = is_code || path.join("mod.rs").is_file();
        // Attacks and faults share one file that the others have no use for.
        let elsewhere = name == "ground";
        if is_module && !elsewhere && !root.iter().any(|code| code.contains(&format!("mod {name};"))) {
            forgotten.push(path.display().to_string());
        }
        if path.join("mod.rs").is_file() {
            forget(path, forgotten);
        }
    }
}

/// Students copy them to build on.
#[test]
fn the_reference_programs_stand_alone() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    for name in netlab::programs::REFERENCE {
        let mut code = String::new();
        read(&programs.join(name), &mut code);
        read(&programs.join(format!("{name}.rs")), &mut code);
        assert!(code.contains("fn main()") && !code.contains("netlab::"), "{name} uses nothing of netlab's");
    }
}

#[test]
fn files_that_people_write_are_read_through_one_door() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        let mut code = String::new();
        read(&entry, &mut code);
        let found = ["serde_yaml", "saphyr"].iter().find(|library| code.contains(**library));
        let is_the_door = entry.ends_with("yaml");
        assert_eq!(
            found.is_some(),
            is_the_door,
            "{} and {found:?}: only src/yaml knows its libraries",
            entry.display()
        );
    }
}

#[test]
fn what_a_module_uses_is_found() {
    let code = "use crate::{\n    Error,\n    own::{self, read},\n    yaml,\n};\nfn f() { crate::run::go() }\n\
                /// As [`crate::report`] does.\n#[cfg(test)]\nmod tests {\n    use crate::grade::All;\n}\n";
    assert_eq!(used(code), BTreeSet::from(["Error", "own", "run", "yaml"].map(str::to_owned)));
}

/// Returns the modules in the page's list, which follows the words "in this list".
fn order(page: &str) -> Vec<String> {
    let list = page.split("before it in this list").nth(1).and_then(|rest| rest.split("```").nth(1)).unwrap();
    list.split_whitespace().map(str::to_owned).collect()
}

/// Returns the first names after `crate::`, outside comments and unit tests.
fn used(code: &str) -> BTreeSet<String> {
    let comment = Regex::new(r"//[^\n]*").unwrap();
    let tests = Regex::new(r"(?s)#\[cfg\(test\)\]\n(?:pub(?:\(crate\))? )?mod [a-z_]+ \{.*?\n\}\n").unwrap();
    let code = tests.replace_all(code, "");
    let code = comment.replace_all(&code, "");
    let one = Regex::new(r"crate::([A-Za-z_]+)").unwrap();
    let mut names: BTreeSet<_> = one.captures_iter(&code).map(|c| c[1].to_owned()).collect();
    for (start, opening) in code.match_indices("crate::{") {
        names.extend(first_names(&code[start + opening.len()..]));
    }
    names
}

/// Returns the names at the outermost level of a list in braces, given from after the opening brace.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut name) = (0, vec![], String::new());
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(std::mem::take(&mut name)),
            c if depth == 0 => name.push(c),
            _ => {}
        }
    }
    names.push(name);
    let first = |name: &String| name.split("::").next().unwrap_or_default().trim().to_owned();
    names.iter().map(first).filter(|name| !name.is_empty()).collect()
}

/// Appends the code of a file, or of all files of a folder, if it is there.
fn read(path: &Path, code: &mut String) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| read(&entry.unwrap().path(), code));
    } else if path.extension().is_some_and(|e| e == "rs") && path.is_file() {
        *code += &fs::read_to_string(path).unwrap();
    }
}
