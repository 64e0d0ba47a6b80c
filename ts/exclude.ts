// Data: what listings for an agent usually leave out.

/** Names and globs (gitignore syntax) of directories and files that hold nothing an agent wants to read. */
export const DEFAULT_EXCLUDE_PATTERNS: string[] = [
  // version control
  ".git",
  ".hg",
  ".svn",
  ".jj",
  // dependencies
  "node_modules",
  "bower_components",
  ".venv",
  "venv",
  ".bundle",
  // what builds leave behind
  "target",
  "dist",
  "build",
  "out",
  ".next",
  ".nuxt",
  ".output",
  ".svelte-kit",
  ".turbo",
  ".gradle",
  "*.egg-info",
  ".eggs",
  // caches
  ".cache",
  "__pycache__",
  ".mypy_cache",
  ".pytest_cache",
  ".ruff_cache",
  ".tox",
  ".nox",
  ".parcel-cache",
  // coverage reports
  "coverage",
  "htmlcov",
  ".coverage",
  ".nyc_output",
  // editors and systems
  ".idea",
  ".vscode",
  ".DS_Store",
  "Thumbs.db",
];
