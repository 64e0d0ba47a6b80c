//! All attacks, by what they are after.

mod command_text;
mod descriptors;
mod environment;
mod files;
mod ipc;
mod kernel;
mod network;
mod processes;
mod scopes;
mod survivors;
mod system_calls;

use crate::attack::Group;

pub const COUNT: usize = 15;

/// Every group, in the order of the table within one point of the threat model.
pub static GROUPS: [&Group; COUNT] = [
    &files::CONTENT,
    &command_text::COMMAND_TEXT,
    &files::METADATA,
    &kernel::KERNEL,
    &kernel::SET_USER_ID,
    &descriptors::DESCRIPTORS,
    &system_calls::SYSTEM_CALLS,
    &processes::PROCESSES,
    &network::HOST_NETWORK,
    &network::NO_NETWORK,
    &network::LISTED,
    &ipc::IPC,
    &scopes::SCOPES,
    &environment::ENVIRONMENT,
    &survivors::SURVIVORS,
];

/// A test for one group.
macro_rules! test_of {
    ($group:ident, $name:ident) => {
        #[test]
        fn $name() {
            crate::observe::hold(&$group);
        }
    };
}
use test_of;
