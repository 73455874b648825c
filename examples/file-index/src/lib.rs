//! Fan-out and fan-in: indexes the text files of a directory in parallel, one activity per file, and adds up the results.

use std::collections::BTreeMap;

use dacapo_sdk::files::{self, EntryKind};
use dacapo_sdk::prelude::*;

/// What to index.
#[derive(Serialize, Deserialize)]
struct Request {
    /// A directory that the operator granted. The manifest asks for `/data` only.
    #[serde(default = "data")]
    directory: String,
}

fn data() -> String {
    "/data".to_owned()
}

/// The index of one file.
#[derive(Serialize, Deserialize)]
struct FileIndex {
    path: String,
    lines: u64,
    words: u64,
    bytes: u64,
    top_words: Vec<WordCount>,
}

#[derive(Clone, Serialize, Deserialize)]
struct WordCount {
    word: String,
    count: u64,
}

/// The index of all files.
#[derive(Serialize, Deserialize)]
struct Index {
    directory: String,
    files: u64,
    lines: u64,
    words: u64,
    bytes: u64,
    /// The most frequent words, counted among each file's own most frequent words.
    top_words: Vec<WordCount>,
    largest_file: Option<String>,
    /// Files that could not be read as text, and why.
    skipped: BTreeMap<String, String>,
}

#[orchestrator]
async fn file_index(ctx: Context, request: Option<Request>) -> Result<Index> {
    let directory = request.map_or_else(data, |request| request.directory);
    let paths = ctx.call_activity::<list_text_files>(directory.clone()).await?;
    ctx.set_custom_status(format!("indexing {} files", paths.len()))?;

    let mut skipped = BTreeMap::new();
    let mut indexed = Vec::new();
    let tasks: Vec<_> = paths.iter().map(|path| ctx.call_activity::<index_file>(path.clone()).start()).collect();
    for (path, task) in paths.into_iter().zip(tasks) {
        match task.await {
            Ok(index) => indexed.push(index),
            Err(failure) => drop(skipped.insert(path, failure.to_string())),
        }
    }
    ctx.set_custom_status("complete")?;
    Ok(total(directory, indexed, skipped))
}

/// Returns the paths of the text files below a directory. The extension decides whether a file is text.
#[activity]
fn list_text_files(directory: String) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![directory];
    while let Some(directory) = open.pop() {
        for entry in files::read_dir(&directory)? {
            match entry.kind {
                EntryKind::Directory if !entry.name.starts_with('.') => open.push(entry.path),
                EntryKind::File if is_text(&entry.name) => found.push(entry.path),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

#[activity]
fn index_file(ctx: ActivityContext, path: String) -> Result<FileIndex> {
    let text = files::read_to_string(&path)?;
    ctx.log_debug(format!("{path}: {} bytes", text.len()));
    Ok(index(path, &text))
}

fn is_text(name: &str) -> bool {
    const ENDINGS: [&str; 12] = ["txt", "md", "rs", "toml", "json", "yaml", "yml", "csv", "html", "wit", "py", "sh"];
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

fn index(path: String, text: &str) -> FileIndex {
    let mut counts = BTreeMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    FileIndex {
        path,
        lines: text.lines().count() as u64,
        words: text.split_whitespace().count() as u64,
        bytes: text.len() as u64,
        top_words: most_frequent(counts, 20),
    }
}

fn total(directory: String, files: Vec<FileIndex>, skipped: BTreeMap<String, String>) -> Index {
    let mut counts = BTreeMap::new();
    for WordCount { word, count } in files.iter().flat_map(|file| file.top_words.iter().cloned()) {
        *counts.entry(word).or_default() += count;
    }
    Index {
        directory,
        files: files.len() as u64,
        lines: files.iter().map(|file| file.lines).sum(),
        words: files.iter().map(|file| file.words).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        top_words: most_frequent(counts, 10),
        largest_file: files.into_iter().max_by_key(|file| file.bytes).map(|file| file.path),
        skipped,
    }
}

fn most_frequent(counts: BTreeMap<String, u64>, limit: usize) -> Vec<WordCount> {
    let mut words: Vec<WordCount> = counts.into_iter().map(|(word, count)| WordCount { word, count }).collect();
    words.sort_by_key(|entry| std::cmp::Reverse(entry.count));
    words.truncate(limit);
    words
}

dacapo_sdk::app!(file_index, list_text_files, index_file);
dacapo_sdk::manifest!("dacapo.json");
