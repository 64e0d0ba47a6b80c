//! Attacks that other suites make, so that they are not made twice: the point of the threat model, what is tried, the
//! file and the test.

pub const ELSEWHERE: &[(u8, &str, &str, &str)] = &[
    (
        3,
        "every way out by a path that we know, through every call, at every depth of scope",
        "tests/confinement/escapes.rs",
        "no_operation_gets_out_by_any_way",
    ),
    (
        3,
        "the same through every MCP tool",
        "tests/confinement/tools.rs",
        "no_tool_gets_out_by_any_way",
    ),
    (
        3,
        "a directory, or a file, that changes places with a link during a call",
        "tests/confinement/races.rs",
        "a_directory_that_changes_places_with_a_link_never_leads_out",
    ),
    (
        3,
        "a working directory that is a link to outside",
        "tests/confinement/escapes.rs",
        "no_command_starts_in_a_directory_outside",
    ),
    (
        3,
        "a write through a hard link to a file outside",
        "tests/confinement/escapes.rs",
        "a_hard_link_never_carries_a_write_to_its_other_names",
    ),
    (
        1,
        "a set-user-id bit or capabilities that outlast a write by our calls",
        "tests/confinement/bad_input.rs",
        "setuid_and_setgid_never_survive_a_write",
    ),
    (
        5,
        "a launcher that others than root could have written",
        "tests/commands/levels.rs",
        "a_launcher_that_others_could_have_planted_is_not_run",
    ),
    (
        11,
        "a command that goes on in a scope that was removed",
        "tests/commands/workspace.rs",
        "removing_a_scopes_directory_ends_its_commands_and_drops_its_private_files",
    ),
    (
        13,
        "a lease on a file that our calls open",
        "tests/confinement/leases.rs",
        "a_leased_file_is_read_after_its_release_and_holds_nobody_meanwhile",
    ),
    (
        13,
        "a FIFO, a socket or a device in a file's place",
        "tests/confinement/special_files.rs",
        "a_fifo_is_refused_without_waiting_for_the_other_end",
    ),
    (
        15,
        "a target that becomes a directory while it is replaced",
        "src/sys/linux/exchange.rs",
        "a_directory_that_took_the_files_place_is_put_back",
    ),
    (
        15,
        "a temporary that becomes a link while it is written",
        "src/sys/linux/exchange.rs",
        "a_link_that_took_the_temporarys_place_does_not_get_the_files_name",
    ),
    (
        15,
        "a target that becomes a mount point while it is replaced",
        "tests/attacks/doors.rs",
        "a_file_that_becomes_a_mount_point_while_it_is_replaced_carries_nothing_out",
    ),
    (
        15,
        "planted files that have the name of a temporary, to be hidden or swept",
        "tests/attacks/doors.rs",
        "planted_files_with_the_name_of_a_temporary_are_seen_and_stay",
    ),
    (
        15,
        "a sweep against another process that lives",
        "src/sys/linux/journal/sweep.rs",
        "the_journal_of_a_living_process_is_left_alone",
    ),
    (
        15,
        "a sweep through a directory that became a link",
        "src/sys/linux/journal/sweep.rs",
        "a_directory_that_became_a_link_out_of_the_root_is_not_followed",
    ),
    (
        15,
        "a writer that is killed at any moment",
        "tests/confinement/interrupted.rs",
        "a_writer_killed_at_any_moment_leaves_the_old_or_the_new_content",
    ),
    (
        19,
        "output without an end",
        "tests/commands/workspace.rs",
        "a_hundred_megabytes_are_bounded_with_head_and_tail_while_they_are_read",
    ),
    (
        20,
        "a host without user namespaces, to get commands without a wall",
        "tests/attacks/probe.rs",
        "without_user_namespaces_a_named_wall_is_missing_and_auto_says_what_it_took",
    ),
    (
        21,
        "hooks, filters and fsmonitor of a repository, to be run by our own calls",
        "tests/attacks/doors.rs",
        "no_call_of_ours_runs_what_a_repository_says",
    ),
];
