//! Descriptors that a host has open without knowing.

use crate::attack::{Attack, Canary, Group, How, Program, Proof};

pub static DESCRIPTORS: Group = Group {
    name: "descriptors",
    how: How::Program(Program::new(include_str!("../programs/descriptors.py"))),
    attacks: &[Attack::new(
        2,
        "inherited",
        "read the host through a descriptor that leaked into the command",
    )
    .proof(Proof::Secret)
    .canary(Canary::FallsWithoutUs)],
};

super::test_of!(
    DESCRIPTORS,
    no_descriptor_but_those_named_reaches_a_command_at_any_level
);
