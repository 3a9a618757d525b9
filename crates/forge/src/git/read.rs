//! Reading revisions, without a work tree.

use std::collections::BTreeMap;

use super::{Git, failed, line};
use crate::Result;

/// An entry of a tree that is a file.
struct Entry {
    path: String,
    /// The blob's id.
    id: String,
}

impl Git {
    /// The commit that a revision names, 40 hex digits; none when there is no such revision.
    ///
    /// # Errors
    /// [`Error::NoGit`](crate::Error::NoGit).
    pub fn resolve(&self, revision: &str) -> Result<Option<String>> {
        self.object(&format!("{revision}^{{commit}}"))
    }

    /// The commit of HEAD; none before the first.
    ///
    /// # Errors
    /// [`Error::NoGit`](crate::Error::NoGit).
    pub fn head(&self) -> Result<Option<String>> {
        self.resolve("HEAD")
    }

    /// The id of a revision's tree.
    ///
    /// # Errors
    /// When there is no such revision.
    pub fn tree_of(&self, revision: &str) -> Result<String> {
        let name = format!("{revision}^{{tree}}");
        Ok(line(&self.run(&["rev-parse", "--verify", "--end-of-options", &name], &[], None)?))
    }

    /// The id of any object that a name leads to.
    pub(crate) fn object(&self, name: &str) -> Result<Option<String>> {
        let done = self.output(&["rev-parse", "--verify", "--quiet", "--end-of-options", name], &[], None)?;
        Ok(done.status.success().then(|| line(&done.stdout)))
    }

    /// The paths of every file at a revision that is one of `prefixes` or lies below it, from the repository's top and sorted; all files
    /// when `prefixes` is empty. Links and submodules are left out.
    ///
    /// # Errors
    /// When there is no such revision.
    pub fn files(&self, revision: &str, prefixes: &[&str]) -> Result<Vec<String>> {
        Ok(self.entries(revision, prefixes)?.into_iter().map(|entry| entry.path).collect())
    }

    /// A file's bytes at a revision; none when there is no file at that path.
    ///
    /// # Errors
    /// When there is no such revision.
    pub fn read(&self, revision: &str, path: &str) -> Result<Option<Vec<u8>>> {
        // A folder of this name lists what is below it.
        let found = self.entries(revision, &[path])?.into_iter().find(|entry| entry.path == path);
        let Some(entry) = found else { return Ok(None) };
        Ok(self.blobs(&[&entry.id])?.pop())
    }

    /// Every file below `folder` at a revision, by path from the repository's top. Links and submodules are left out.
    ///
    /// # Errors
    /// When there is no such revision.
    pub fn read_all(&self, revision: &str, folder: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        self.read_folders(revision, &[folder])
    }

    /// Every file of [`files`](Self::files) with its bytes: two processes, however many files there are.
    ///
    /// # Errors
    /// When there is no such revision.
    pub fn read_folders(&self, revision: &str, prefixes: &[&str]) -> Result<BTreeMap<String, Vec<u8>>> {
        let entries = self.entries(revision, prefixes)?;
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let contents = self.blobs(&ids)?;
        Ok(entries.into_iter().map(|entry| entry.path).zip(contents).collect())
    }

    fn entries(&self, revision: &str, prefixes: &[&str]) -> Result<Vec<Entry>> {
        // A `--` after the revision would be one more path.
        let mut arguments = vec!["ls-tree", "-r", "-z", "--full-tree", "--end-of-options", revision];
        arguments
            .extend(prefixes.iter().map(|prefix| prefix.trim_end_matches('/')).filter(|prefix| !prefix.is_empty()));
        let listing = self.run(&arguments, &[], None)?;
        let mut entries = Vec::new();
        for entry in listing.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            // <mode> blob <id>\t<path>
            let text = String::from_utf8_lossy(entry);
            let Some((facts, path)) = text.split_once('\t') else { continue };
            let mut facts = facts.split(' ');
            if let (Some("100644" | "100755"), Some("blob"), Some(id)) = (facts.next(), facts.next(), facts.next()) {
                entries.push(Entry { path: path.to_owned(), id: id.to_owned() });
            }
        }
        Ok(entries)
    }

    /// Many blobs, in the order of their ids, by one process.
    pub(crate) fn blobs(&self, ids: &[&str]) -> Result<Vec<Vec<u8>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let questions: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let answers = self.run(&["cat-file", "--batch"], &[], Some(questions.as_bytes()))?;
        let mut rest = answers.as_slice();
        let mut contents = Vec::with_capacity(ids.len());
        for id in ids {
            let (content, after) = first_blob(rest).ok_or_else(|| {
                let answer = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
                failed("cat-file --batch", format!("{id}: {}", String::from_utf8_lossy(answer)))
            })?;
            contents.push(content.to_vec());
            rest = after;
        }
        Ok(contents)
    }

    /// The newest commit up to a revision that changed a file; none when no commit did.
    ///
    /// # Errors
    /// When there is no such revision.
    pub fn last_commit_of(&self, revision: &str, path: &str) -> Result<Option<String>> {
        let path = format!(":(top,literal){path}");
        let found = line(&self.run(&["rev-list", "-1", "--end-of-options", revision, "--", &path], &[], None)?);
        Ok((!found.is_empty()).then_some(found))
    }

    /// Whether these files, by path from the repository's top, are at HEAD as they are in the work tree. One that git ignores is not.
    ///
    /// # Errors
    /// When there is no work tree.
    pub fn is_clean(&self, paths: &[&str]) -> Result<bool> {
        if paths.is_empty() {
            return Ok(true);
        }
        let mut arguments = vec!["status", "--porcelain", "-z", "--untracked-files=all", "--ignored=matching", "--"];
        let paths: Vec<String> = paths.iter().map(|path| format!(":(top,literal){path}")).collect();
        arguments.extend(paths.iter().map(String::as_str));
        // Without the lock git does not write the user's index, which it otherwise refreshes.
        Ok(self.run(&arguments, &[("GIT_OPTIONAL_LOCKS", "0")], None)?.is_empty())
    }
}

/// The first answer of `git cat-file --batch`, `<id> blob <size>\n<bytes>\n`, and what comes after it.
fn first_blob(answers: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = answers.iter().position(|byte| *byte == b'\n')?;
    let header = std::str::from_utf8(&answers[..end]).ok()?;
    let (kind, size) = header.split_once(' ')?.1.split_once(' ')?;
    let size = size.parse::<usize>().ok().filter(|_| kind == "blob")?;
    let content = answers.get(end + 1..end + 1 + size)?;
    Some((content, answers.get(end + 2 + size..)?))
}
