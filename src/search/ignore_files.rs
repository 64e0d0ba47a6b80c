//! What `.gitignore` and `.ignore` files say. Their content is handed in, so that whoever has the files decides how
//! they are opened; a file that somebody made huge or hostile costs a bounded amount of work.

use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::glob::as_path;

/// The files that are looked at, in rising order of precedence.
pub const IGNORE_FILE_NAMES: [&[u8]; 2] = [b".gitignore", b".ignore"];

/// Of a longer file only the beginning counts.
pub(super) const MAX_IGNORE_FILE_BYTES: usize = 256 << 10;
/// Of more patterns only the first count.
const MAX_PATTERNS: usize = 4096;

/// The patterns of one file.
#[derive(Clone, Debug)]
pub struct IgnoreRules(Gitignore);

impl IgnoreRules {
    /// Reads the content of an ignore file. Lines that are no pattern are passed over, as git does.
    #[must_use]
    pub fn parse(content: &[u8]) -> Self {
        let mut content = &content[..content.len().min(MAX_IGNORE_FILE_BYTES)];
        content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let mut builder = GitignoreBuilder::new("");
        for line in content.split(|&b| b == b'\n').take(MAX_PATTERNS) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let _ = builder.add_line(None, &String::from_utf8_lossy(line));
        }
        Self(builder.build().unwrap_or_else(|_| Gitignore::empty()))
    }

    /// `Some(true)` to leave out, `Some(false)` to take back in, `None` where it says nothing.
    fn verdict(&self, path: &[u8], is_directory: bool) -> Option<bool> {
        let verdict = self.0.matched(as_path(path), is_directory);
        if verdict.is_none() {
            return None;
        }
        Some(verdict.is_ignore())
    }
}

/// The ignore files that hold in a directory: its own and those of the directories above. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct IgnoreChain(Option<Arc<Link>>);

#[derive(Debug)]
struct Link {
    above: IgnoreChain,
    /// Length of the path of the directory that the rules are from, with its slash.
    skip: usize,
    git: Option<IgnoreRules>,
    plain: Option<IgnoreRules>,
}

impl IgnoreChain {
    /// This chain and the files of a directory below it. `directory` is its path from the root, as those
    /// that [`IgnoreChain::leaves_out`] is asked about.
    #[must_use]
    pub fn below(
        &self,
        directory: &[u8],
        git: Option<IgnoreRules>,
        plain: Option<IgnoreRules>,
    ) -> Self {
        if git.is_none() && plain.is_none() {
            return self.clone();
        }
        Self(Some(Arc::new(Link {
            above: self.clone(),
            skip: directory.len() + usize::from(!directory.is_empty()),
            git,
            plain,
        })))
    }

    /// Whether a path is left out. The nearest file that says something decides; any `.ignore` before any
    /// `.gitignore`, as in ripgrep. `.git` itself is always left out.
    #[must_use]
    pub fn leaves_out(&self, path: &[u8], is_directory: bool) -> bool {
        let mut by_git = None;
        let mut link = self.0.as_deref();
        while let Some(rules) = link {
            let below = path.get(rules.skip..).unwrap_or_default();
            let verdict = |rules: &Option<IgnoreRules>| {
                rules
                    .as_ref()
                    .and_then(|rules| rules.verdict(below, is_directory))
            };
            if let Some(left_out) = verdict(&rules.plain) {
                return left_out;
            }
            by_git = by_git.or_else(|| verdict(&rules.git));
            link = rules.above.0.as_deref();
        }
        by_git.unwrap_or(false)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A chain is as long as the tree is deep; the derived drop would recurse.
        let mut above = self.above.0.take();
        while let Some(link) = above {
            above = Arc::into_inner(link).and_then(|mut link| link.above.0.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(files: &[(&str, &str, &str)]) -> IgnoreChain {
        let mut chain = IgnoreChain::default();
        for (directory, git, plain) in files {
            let rules =
                |text: &str| (!text.is_empty()).then(|| IgnoreRules::parse(text.as_bytes()));
            chain = chain.below(directory.as_bytes(), rules(git), rules(plain));
        }
        chain
    }

    #[test]
    fn the_nearest_file_that_says_something_decides() {
        let chain = chain(&[
            ("", "*.log\n/dist\nsecret/\n# *.md\n\n\\#odd\n", ""),
            ("sub", "!keep.log\n/only-here\n", ""),
        ]);
        for (path, is_directory, expected) in [
            ("a.log", false, true),
            ("sub/a.log", false, true),
            ("sub/keep.log", false, false),
            ("dist", true, true),
            ("sub/dist", true, false),
            ("sub/secret", true, true),
            ("sub/secret", false, false),
            ("sub/only-here", false, true),
            ("sub/deep/only-here", false, false),
            ("readme.md", false, false),
            ("#odd", false, true),
        ] {
            assert_eq!(
                chain.leaves_out(path.as_bytes(), is_directory),
                expected,
                "{path}"
            );
        }
    }

    #[test]
    fn a_plain_ignore_file_goes_before_gitignore_at_any_depth() {
        let chain = chain(&[("", "", "!*.log\n"), ("sub", "*.log\n", "")]);
        assert!(!chain.leaves_out(b"sub/a.log", false));
    }

    #[test]
    fn windows_line_ends_and_a_byte_order_mark_do_no_harm() {
        let chain = chain(&[("", "\u{feff}*.log\r\nbuild/\r\n", "")]);
        assert!(chain.leaves_out(b"x.log", false));
        assert!(chain.leaves_out(b"build", true));
    }

    #[test]
    fn a_hostile_file_costs_little_and_its_good_lines_count() {
        let mut text = String::from("*.log\n[\n{a\n");
        text.extend(std::iter::repeat_n("{a,b}[xyz]*{c,{d,e}}\n", 50_000));
        let started = std::time::Instant::now();
        let chain = chain(&[("", &text, "")]);
        assert!(chain.leaves_out(b"x.log", false));
        assert!(started.elapsed().as_secs() < 20);
    }

    #[test]
    fn a_chain_as_deep_as_a_path_can_be_is_dropped_without_recursion() {
        let mut chain = IgnoreChain::default();
        let mut path = String::new();
        for _ in 0..200_000 {
            chain = chain.below(path.as_bytes(), Some(IgnoreRules(Gitignore::empty())), None);
            if path.len() < 4000 {
                path.push_str("d/");
            }
        }
        drop(chain);
    }
}
