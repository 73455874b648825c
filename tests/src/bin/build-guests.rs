//! Builds the examples and the fixtures to wasm and prints the path of the output folder.

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use dacapo_tests::guests::{self, Toolchain};

#[derive(Parser)]
struct Arguments {
    /// The toolchain to use, instead of the first one that works.
    #[arg(long)]
    toolchain: Option<Choice>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Choice {
    /// The cargo on the path, whose compiler has the wasm target.
    Target,
    /// Debian's rustc-web, cargo-web and rust-web-src with an lld.
    Debian,
}

fn main() -> Result<()> {
    match Arguments::parse().toolchain {
        None => guests::build()?,
        Some(Choice::Target) => guests::build_with(Toolchain::with_target().context("the wasm target is missing")?)?,
        Some(Choice::Debian) => guests::build_with(Toolchain::debian().context("Debian's toolchain is missing")?)?,
    }
    println!("{}", guests::folder().display());
    Ok(())
}
