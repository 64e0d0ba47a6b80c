//! What the text of a command names: at `software` the command policy is all that there is.

use agent_backend::error::ErrorCode;

use crate::attack::{Attack, Group, How};
use crate::world::{BEFORE, World};

pub static COMMAND_TEXT: Group = Group {
    name: "text of a command",
    how: How::Function(attack),
    attacks: &[
        Attack::new(
            3,
            "named-write",
            "write to a file outside that the command's text names",
        ),
        Attack::new(
            3,
            "computed-write",
            "write to a file outside whose path the command computes",
        ),
        Attack::new(
            3,
            "named-read",
            "read a file outside that the command's text names",
        ),
    ],
};

fn attack(world: &World) -> Vec<&'static str> {
    let host = world.host();
    let at = |id: &str| host.join(id).display().to_string();
    let texts = [
        (
            "named-write",
            format!("echo altered > {}", at("named-write")),
        ),
        (
            "computed-write",
            format!(
                "python3 -c \"open('{}'.replace('_', ''), 'w')\"",
                at("computed-write").replace("host", "ho_st")
            ),
        ),
        ("named-read", format!("cat {}", at("secret"))),
    ];
    let mut succeeded = Vec::new();
    for (id, text) in texts {
        world.expose(id);
        let told = match world.run(&world.one, &text) {
            Ok(done) => String::from_utf8_lossy(&done.stdout).contains(&world.secret),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::DangerousOperation, "{error}");
                false
            }
        };
        if told || std::fs::read_to_string(host.join(id)).unwrap() != BEFORE {
            succeeded.push(id);
        }
    }
    succeeded
}

super::test_of!(
    COMMAND_TEXT,
    what_a_command_names_is_stopped_where_the_table_says
);
