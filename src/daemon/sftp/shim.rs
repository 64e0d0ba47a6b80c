//! Until `Workspace` has these itself; inherent methods go before those of a trait, so nothing else changes then.

use std::sync::Arc;

use crate::backend::{Attributes, OpenFile, OpenOptions, Space};
use crate::call::Call;
use crate::path::RelPath;
use crate::workspace::Workspace;

fn with<T: Send + 'static>(
    workspace: &Workspace,
    path: &[u8],
    act: impl FnOnce(RelPath) -> Call<T>,
) -> Call<T> {
    match RelPath::parse(path, workspace.root_dir()) {
        Ok(path) => act(path),
        Err(error) => Call::err(error),
    }
}

pub(super) trait Files {
    fn open(&self, path: impl AsRef<[u8]>, options: OpenOptions) -> Call<Arc<dyn OpenFile>>;
    fn set_attributes(
        &self,
        path: impl AsRef<[u8]>,
        follow: bool,
        attributes: Attributes,
    ) -> Call<()>;
    fn read_link(&self, path: impl AsRef<[u8]>) -> Call<Vec<u8>>;
    fn symlink(&self, path: impl AsRef<[u8]>, target: &[u8]) -> Call<()>;
    fn space(&self) -> Call<Space>;
}

impl Files for Workspace {
    fn open(&self, path: impl AsRef<[u8]>, options: OpenOptions) -> Call<Arc<dyn OpenFile>> {
        with(self, path.as_ref(), |path| {
            self.backend().open(&path, options)
        })
    }
    fn set_attributes(
        &self,
        path: impl AsRef<[u8]>,
        follow: bool,
        attributes: Attributes,
    ) -> Call<()> {
        with(self, path.as_ref(), |path| {
            self.backend().set_attributes(&path, follow, attributes)
        })
    }
    fn read_link(&self, path: impl AsRef<[u8]>) -> Call<Vec<u8>> {
        with(self, path.as_ref(), |path| self.backend().read_link(&path))
    }
    fn symlink(&self, path: impl AsRef<[u8]>, target: &[u8]) -> Call<()> {
        with(self, path.as_ref(), |path| {
            self.backend().symlink(&path, target)
        })
    }
    fn space(&self) -> Call<Space> {
        self.backend().space()
    }
}
