//! Takes the SDKs and the templates of new apps into the binary: every file of two folders, so that a new one needs no
//! mention anywhere.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What tools make, and what only tests the SDKs.
const FOLDERS_LEFT_OUT: [&str; 5] = ["__pycache__", "node_modules", "target", "test", "tests"];
const GO_TEST: &str = "_test.go";

fn main() {
    let home = PathBuf::from(env("CARGO_MANIFEST_DIR"));
    let sdk = home.join("../guest-sdk").canonicalize().expect("the SDKs lie beside the host");
    embed("sdk", &sdk, |name| !FOLDERS_LEFT_OUT.contains(&name) && !name.ends_with(GO_TEST));
    embed("templates", &home.join("templates"), |_| true);
}

/// Writes the files of a folder as a list of paths, relative to it, and contents.
fn embed(name: &str, folder: &Path, is_taken: impl Fn(&str) -> bool) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    collect(folder, &is_taken, &mut files);
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let relative = file.strip_prefix(folder).expect("it was found there");
        writeln!(list, "    ({relative:?}, include_bytes!({file:?})),").expect("a string takes everything");
    }
    list.push_str("]\n");
    fs::write(Path::new(&env("OUT_DIR")).join(format!("{name}.rs")), list).expect("cargo's folder can be written to");
}

fn collect(folder: &Path, is_taken: &impl Fn(&str) -> bool, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|why| panic!("reading {}: {why}", folder.display())) {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("names are UTF-8");
        if name.starts_with('.') || !is_taken(name) {
            continue;
        }
        if path.is_dir() {
            collect(&path, is_taken, files);
        } else {
            files.push(path);
        }
    }
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|why| panic!("cargo sets {name}: {why}"))
}
