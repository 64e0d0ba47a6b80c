//! Output that is too long for a model: its beginning and end are shown, and the whole of it is kept in a file of the
//! workspace, where the model can search it with the tools that it has.

use crate::backend::{Content, ListOptions, RemoveOptions, WriteMode, WriteOptions};
use crate::error::Result;
use crate::workspace::{HeadAndTail, Workspace, head_and_tail, unguessable};

/// Bytes of a stream that are shown.
const SHOWN_BYTES: usize = 30_000;
/// Where whole outputs are kept, and how many.
const DIRECTORY: &str = ".agent-backend/output";
const MAX_FILES: usize = 64;

/// Where the outputs of one workspace are kept.
pub(super) struct KeptOutput {
    workspace: Workspace,
}

/// A stream as it is shown.
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) is_cut: bool,
    /// Where the whole of it is; `None` where it was not cut, or could not be kept.
    pub(super) file: Option<String>,
}

impl KeptOutput {
    pub(super) fn new(workspace: Workspace) -> Self {
        Self { workspace }
    }

    /// A stream, cut where it is too long.
    pub(super) async fn show(&self, stream: &str, output: &[u8]) -> Shown {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let Some(HeadAndTail {
            head,
            tail,
            left_out,
        }) = head_and_tail(output, SHOWN_BYTES)
        else {
            return Shown {
                text: text(output),
                is_cut: false,
                file: None,
            };
        };
        let (note, file) = match self.keep(stream, output).await {
            Ok(file) => (format!("the whole output is in {file}"), Some(file)),
            Err(error) => (format!("the whole output could not be kept: {error}"), None),
        };
        let (head, tail) = (text(head), text(tail));
        Shown {
            text: format!("{head}\n[... {left_out} bytes left out; {note} ...]\n{tail}"),
            is_cut: true,
            file,
        }
    }

    async fn keep(&self, stream: &str, output: &[u8]) -> Result<String> {
        self.make_room().await;
        let path = format!("{DIRECTORY}/{}.{stream}.txt", unguessable()?);
        let content = Content::owned(output.to_vec());
        self.workspace
            .write(&path, content, WriteOptions::default())
            .await?;
        Ok(path)
    }

    /// Removes the oldest files where there are too many, and keeps the directory out of git's sight. What fails here
    /// fails again, and is told, when the output is written.
    async fn make_room(&self) {
        let workspace = &self.workspace;
        let options = ListOptions { with_stat: true };
        let Ok(entries) = workspace.list(DIRECTORY, options).await else {
            let ignore_all = Content::owned(b"*\n".to_vec());
            let path = ".agent-backend/.gitignore";
            let options = WriteOptions {
                mode: WriteMode::CreateNew,
                ..WriteOptions::default()
            };
            let _ = workspace.write(path, ignore_all, options).await;
            return;
        };
        let mut by_age: Vec<(i128, Vec<u8>)> = (entries.into_iter())
            .filter(|entry| is_ours(&entry.name))
            .filter_map(|entry| Some((entry.stat?.mtime_ns, entry.name)))
            .collect();
        by_age.sort_unstable();
        let excess = (by_age.len() + 1).saturating_sub(MAX_FILES);
        for (_, name) in by_age.into_iter().take(excess) {
            let path = [DIRECTORY.as_bytes(), b"/", &name].concat();
            let _ = workspace.remove(path, RemoveOptions::default()).await;
        }
    }
}

/// Whether a name is one that [`KeptOutput`] gives: what others put there stays.
fn is_ours(name: &[u8]) -> bool {
    let stem = [&b".stdout.txt"[..], b".stderr.txt"]
        .iter()
        .find_map(|end| name.strip_suffix(*end));
    stem.is_some_and(|stem| stem.len() == 32 && stem.iter().all(u8::is_ascii_hexdigit))
}
