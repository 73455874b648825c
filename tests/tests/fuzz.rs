//! A short run of every fuzz target on its corpus and on mutations of it. For a long run: `cargo +nightly fuzz run NAME` in
//! `tests/fuzz`.

use std::time::Duration;

use dacapo_tests::fuzz::{TARGETS, short_run};

fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let count = short_run(target, 1, Duration::from_secs(3)).unwrap();
    println!("{name}: {count} inputs");
}

#[test]
fn codec() {
    check("codec");
}

#[test]
fn turn() {
    check("turn");
}

#[test]
fn request() {
    check("request");
}

#[test]
fn upload() {
    check("upload");
}

#[test]
fn calls() {
    check("calls");
}
