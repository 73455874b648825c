use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use super::Language;
use super::language;

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("there is no folder {}", .0.display())]
    NoFolder(PathBuf),
    #[error("there is no app of a known language in {}. An app is recognised by\n{}", .0.display(), language::marks())]
    NoApp(PathBuf),
    #[error("{} could be an app in {}: --language says which it is", .folder.display(), names(.languages))]
    SeveralLanguages { folder: PathBuf, languages: Vec<Language> },
    #[error("{tool} is not on the PATH, and is needed to build an app in {language}. To install it:\n{}", how.join("\n"))]
    ToolMissing { tool: &'static str, language: Language, how: &'static [&'static str] },
    #[error("{tool} failed ({status}); what it said is above")]
    ToolFailed { tool: String, status: ExitStatus },
    /// What is wrong with the sources, for their author.
    #[error("{0}")]
    Sources(String),
    #[error("{} is not empty: a new app begins in a new folder", .0.display())]
    NotEmpty(PathBuf),
    #[error("'{0}' cannot be the name of an app: lower-case letters, digits, '-' and '_', a letter first, 64 at most")]
    AppName(String),
    #[error("{what} {} failed: {why}", path.display())]
    File { what: &'static str, path: PathBuf, why: io::Error },
}

impl BuildError {
    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |why| Self::File { what, path, why }
    }
}

fn names(languages: &[Language]) -> String {
    languages.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or in ")
}
