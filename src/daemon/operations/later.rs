//! Calls that [`Workspace`] does not have yet; its own take precedence as soon as it has them.

use std::sync::Arc;

use crate::backend::{Attributes, OpenFile, OpenOptions, Space, StagedWrite, WriteOptions};
use crate::call::Call;
use crate::error::{Error, ErrorCode};
use crate::workspace::Workspace;

fn none<T: Send + 'static>() -> Call<T> {
    Call::err(Error::new(ErrorCode::NotImplemented, "not there yet"))
}

pub(super) trait Later {
    fn open(&self, _: &[u8], _: OpenOptions) -> Call<Arc<dyn OpenFile>> {
        none()
    }
    fn stage(&self, _: &[u8], _: WriteOptions) -> Call<Arc<dyn StagedWrite>> {
        none()
    }
    fn set_attributes(&self, _: &[u8], _: bool, _: Attributes) -> Call<()> {
        none()
    }
    fn read_link(&self, _: &[u8]) -> Call<Vec<u8>> {
        none()
    }
    fn symlink(&self, _: &[u8], _: &[u8]) -> Call<()> {
        none()
    }
    fn space(&self) -> Call<Space> {
        none()
    }
}

impl Later for Workspace {}
