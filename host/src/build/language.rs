//! The languages, and how an app of each is recognised.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use clap::ValueEnum;

use super::BuildError;

/// A language that apps are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Language {
    Rust,
    /// And TypeScript.
    #[value(name = "javascript", alias = "typescript")]
    JavaScript,
    #[value(name = "fsharp", alias = "f#")]
    FSharp,
    Python,
    Go,
    C,
    #[value(alias = "c++")]
    Cpp,
    Zig,
    #[value(name = "assemblyscript")]
    AssemblyScript,
    Kotlin,
    Wat,
}

/// The files by which an app of a language is recognised.
struct Marks {
    /// Files that describe a project: one of them is enough, whatever other files there are.
    project: &'static [&'static str],
    /// Sources, which count if there is no project file.
    sources: &'static [&'static str],
}

impl Language {
    /// The language of the app in a folder.
    pub(super) fn of(folder: &Path) -> Result<Self, BuildError> {
        let files = files(folder).map_err(BuildError::file("reading", folder))?;
        match recognise(&files).as_slice() {
            [] => Err(BuildError::NoApp(folder.to_owned())),
            [language] => Ok(*language),
            several => Err(BuildError::SeveralLanguages { folder: folder.to_owned(), languages: several.to_vec() }),
        }
    }

    const fn marks(self) -> Marks {
        const fn project(project: &'static [&'static str]) -> Marks {
            Marks { project, sources: &[] }
        }
        const fn sources(sources: &'static [&'static str]) -> Marks {
            Marks { project: &[], sources }
        }
        match self {
            Language::Rust => project(&["Cargo.toml"]),
            // In the older programming model each function has a folder, with or without a project file.
            Language::JavaScript => {
                Marks { project: &["package.json"], sources: &["*/index.js", "*/index.mjs", "*/index.cjs", "*/index.ts"] }
            }
            // A script is of use in projects of any language.
            Language::FSharp => Marks { project: &["*.fsproj"], sources: &["*.fsx"] },
            Language::Python => {
                Marks { project: &["function_app.py", "requirements.txt", "pyproject.toml"], sources: &["*/__init__.py"] }
            }
            Language::Go => project(&["go.mod"]),
            Language::C => sources(&["*.c"]),
            Language::Cpp => sources(&["*.cpp", "*.cc"]),
            Language::Zig => sources(&["*.zig"]),
            Language::AssemblyScript => project(&["asconfig.json"]),
            Language::Kotlin => sources(&["*.kt"]),
            Language::Wat => sources(&["*.wat"]),
        }
    }

    /// Whether an app of this language may have files of the other: a compiler from npm comes with a `package.json`, and so do
    /// libraries for F#.
    fn includes(self, other: Language) -> bool {
        matches!(
            (self, other),
            (Language::AssemblyScript | Language::FSharp, Language::JavaScript) | (Language::Cpp, Language::C)
        )
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Rust => "Rust",
            Language::JavaScript => "JavaScript or TypeScript",
            Language::FSharp => "F#",
            Language::Python => "Python",
            Language::Go => "Go",
            Language::C => "C",
            Language::Cpp => "C++",
            Language::Zig => "Zig",
            Language::AssemblyScript => "AssemblyScript",
            Language::Kotlin => "Kotlin",
            Language::Wat => "WAT",
        })
    }
}

/// The files by which apps are recognised, a line for each language.
pub(super) fn marks() -> String {
    let line = |language: &Language| {
        let Marks { project, sources } = language.marks();
        format!("  {language}: {}", [project, sources].concat().join(", "))
    };
    Language::value_variants().iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The languages that an app with these files can be in.
fn recognise(files: &BTreeSet<String>) -> Vec<Language> {
    let has = |patterns: &[&str]| patterns.iter().any(|pattern| files.iter().any(|file| matches(pattern, file)));
    let with = |marks: fn(&Marks) -> &'static [&'static str]| -> Vec<Language> {
        let all = Language::value_variants().iter().copied();
        let found: Vec<Language> = all.filter(|language| has(marks(&language.marks()))).collect();
        found.iter().copied().filter(|one| !found.iter().any(|other| other.includes(*one))).collect()
    };
    let by_project = with(|marks| marks.project);
    if by_project.is_empty() { with(|marks| marks.sources) } else { by_project }
}

/// Each `*` of a pattern stands for some characters of a name.
fn matches(pattern: &str, file: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == file,
        Some((before, after)) => file.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(end, _)| rest.split_at(end)).any(|(name, rest)| !name.contains('/') && matches(after, rest))
        }),
    }
}

/// The files of a folder and of the folders in it, without hidden ones.
fn files(folder: &Path) -> std::io::Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    for (name, path) in visible(folder)? {
        if path.is_dir() {
            files.extend(visible(&path)?.into_iter().map(|(inner, _)| format!("{name}/{inner}")));
        } else {
            files.insert(name);
        }
    }
    Ok(files)
}

fn visible(folder: &Path) -> std::io::Result<Vec<(String, std::path::PathBuf)>> {
    let entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let named = entries.into_iter().filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    Ok(named.filter(|(name, _)| !name.starts_with('.')).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[&str], expected: &[Language]) {
        assert_eq!(recognise(&files.iter().map(ToString::to_string).collect()), expected, "{files:?}");
    }

    #[test]
    fn a_project_file_decides() {
        check(&["Cargo.toml", "src/lib.rs", "extra.c"], &[Language::Rust]);
        check(&["package.json", "src/functions.ts"], &[Language::JavaScript]);
        check(&["package.json", "Hello/function.json"], &[Language::JavaScript]);
        check(&["asconfig.json", "package.json"], &[Language::AssemblyScript]);
        check(&["App.fsproj", "App.fs", "package.json"], &[Language::FSharp]);
        check(&["package.json", "src/app.js", "release.fsx"], &[Language::JavaScript]);
        check(&["function_app.py", "host.json"], &[Language::Python]);
        check(&["requirements.txt", "Hello/function.json", "Hello/__init__.py"], &[Language::Python]);
        check(&["go.mod", "main.go"], &[Language::Go]);
    }

    #[test]
    fn sources_decide_where_there_is_none() {
        check(&["Hello/function.json", "Hello/__init__.py"], &[Language::Python]);
        check(&["App.fsx"], &[Language::FSharp]);
        check(&["app.c", "app.h"], &[Language::C]);
        check(&["app.cpp", "json.c"], &[Language::Cpp]);
        check(&["app.cc"], &[Language::Cpp]);
        check(&["app.zig", "dacapo.zig"], &[Language::Zig]);
        check(&["App.kt", "Dacapo.kt"], &[Language::Kotlin]);
        check(&["hello.wat"], &[Language::Wat]);
    }

    #[test]
    fn what_is_open_is_asked() {
        check(&["Cargo.toml", "package.json"], &[Language::Rust, Language::JavaScript]);
        check(&["app.zig", "app.c"], &[Language::C, Language::Zig]);
        check(&[], &[]);
        check(&["README.md", "notes.go", "deep/folder.c"], &[]);
    }

    #[test]
    fn a_star_stands_for_a_name() {
        assert!(matches("*.c", "a.c") && matches("*.c", "a.b.c") && matches("*/function.json", "a/function.json"));
        assert!(!matches("*.c", "a.cc") && !matches("*.c", "a/b.c") && !matches("*.c", "c"));
    }
}
