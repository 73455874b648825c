//! Templates of new apps, embedded in this binary: one for each language with an SDK, all with the same functions.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{BuildError, Language, sdk};

/// The files of `templates`, by their paths in it: a folder for each template, and one for the files that all share.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));
const COMMON: &str = "common";

/// A new app's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Template {
    Rust,
    #[value(name = "typescript")]
    TypeScript,
    #[value(name = "javascript")]
    JavaScript,
    #[value(name = "fsharp", alias = "f#")]
    FSharp,
    Python,
    Go,
    C,
}

impl Template {
    pub const fn language(self) -> Language {
        match self {
            Template::Rust => Language::Rust,
            Template::TypeScript | Template::JavaScript => Language::JavaScript,
            Template::FSharp => Language::FSharp,
            Template::Python => Language::Python,
            Template::Go => Language::Go,
            Template::C => Language::C,
        }
    }

    /// The command that runs the tests of the app, in its folder.
    pub const fn test_command(self) -> &'static str {
        match self {
            Template::Rust => "cargo test",
            Template::TypeScript | Template::JavaScript => "npm install && npm test",
            Template::FSharp => "node .dacapo/sdk/fsharp/test.mjs",
            Template::Python => "PYTHONPATH=.dacapo/sdk/python python3 -m unittest",
            Template::Go => "go test ./...",
            Template::C => "make test",
        }
    }

    const fn folder(self) -> &'static str {
        match self {
            Template::Rust => "rust",
            Template::TypeScript => "typescript",
            Template::JavaScript => "javascript",
            Template::FSharp => "fsharp",
            Template::Python => "python",
            Template::Go => "go",
            Template::C => "c",
        }
    }

    const fn main_file(self) -> &'static str {
        match self {
            Template::Rust => "src/lib.rs",
            Template::TypeScript => "src/app.ts",
            Template::JavaScript => "src/app.js",
            Template::FSharp => "App.fs",
            Template::Python => "function_app.py",
            Template::Go => "main.go",
            Template::C => "app.c",
        }
    }

    /// The files of the template, by their paths in the app.
    fn files(self) -> impl Iterator<Item = (&'static str, &'static [u8])> {
        FILES.iter().filter_map(move |&(path, bytes)| {
            let (folder, path) = path.split_once('/')?;
            (folder == self.folder() || folder == COMMON).then_some((path, bytes))
        })
    }

    /// Replaces the placeholders in a template.
    fn fill(self, text: &str, name: &str) -> String {
        let fields = [
            ("{{name}}", name),
            ("{{language}}", &self.to_string()),
            ("{{main}}", self.main_file()),
            ("{{test}}", self.test_command()),
        ];
        fields.iter().fold(text.to_owned(), |text, (field, value)| text.replace(field, value))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Template::Rust => "Rust",
            Template::TypeScript => "TypeScript",
            Template::JavaScript => "JavaScript",
            Template::FSharp => "F#",
            Template::Python => "Python",
            Template::Go => "Go",
            Template::C => "C",
        })
    }
}

/// Writes a new app, with its SDK, into a folder that is missing or empty. The app is named after the folder.
pub fn write_new_app(folder: &Path, template: Template) -> Result<(), BuildError> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    check_name(name)?;
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(BuildError::NotEmpty(folder.to_owned()));
    }
    for (path, bytes) in template.files() {
        let text = str::from_utf8(bytes).expect("templates are texts");
        let path = place(folder, path);
        let parent = path.parent().expect("the path has a file name");
        fs::create_dir_all(parent).map_err(BuildError::file("making", parent))?;
        fs::write(&path, template.fill(text, name)).map_err(BuildError::file("writing", &path))?;
    }
    sdk::write(folder, template.language())
}

/// The templates have no `.gitignore`, which would apply to this repository.
fn place(folder: &Path, path: &str) -> PathBuf {
    folder.join(if path == "gitignore" { ".gitignore" } else { path })
}

/// Checks that every tool chain accepts the name as that of a package.
fn check_name(name: &str) -> Result<(), BuildError> {
    const CHARS_MAX: usize = 64;
    let begins_right = name.starts_with(|c: char| c.is_ascii_lowercase());
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    match begins_right && is_plain && name.len() <= CHARS_MAX {
        true => Ok(()),
        false => Err(BuildError::AppName(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_app_is_recognised_and_nothing_is_left_open() {
        for template in Template::value_variants() {
            let directory = tempfile::tempdir().unwrap();
            let folder = directory.path().join("my-app");
            write_new_app(&folder, *template).unwrap();
            assert_eq!(Language::of(&folder).unwrap(), template.language(), "{template}");
            for path in [template.main_file(), "README.md", ".gitignore", ".dacapo/.gitignore"] {
                assert!(folder.join(path).is_file(), "{template}: {path}");
            }
            for (path, _) in template.files() {
                let text = fs::read_to_string(place(&folder, path)).unwrap();
                assert!(!text.contains("{{"), "{template}: {path}: {text}");
            }
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("my-app");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("notes"), "").unwrap();
        assert!(matches!(write_new_app(&folder, Template::Python), Err(BuildError::NotEmpty(_))));
        fs::remove_file(folder.join("notes")).unwrap();
        write_new_app(&folder, Template::Python).unwrap();
    }

    #[test]
    fn names_suit_every_tool_chain() {
        assert!(check_name("my-app_2").is_ok());
        for name in ["", "2nd", "My-App", "a b", "a/b", "ä", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
