//! What every backend does, stated once and run against each, at the root, in a scope and in a scope of a scope.
//!
//! A behaviour is a function that takes a [`fixture::Fixture`]; `every_behaviour!` lists them, so one that is written
//! and not listed is dead code, which the compiler reports. A new backend is one line at the end of this file and one
//! function in `fixture.rs`.

#![allow(clippy::unwrap_used, reason = "a behaviour fails by panicking")]

mod batches;
mod directories;
mod fixture;
#[path = "../support/in_process.rs"]
mod in_process;
mod keys;
mod lifecycle;
mod links;
mod many_scopes;
mod open;
#[path = "../support/opening.rs"]
#[allow(dead_code, reason = "made for suites that try every operation")]
mod opening;
mod reading;
mod removing;
mod renaming;
mod scopes;
mod searching;
#[path = "../support/skip.rs"]
mod skip;
#[path = "../support/sshd.rs"]
mod sshd;
mod staging;
mod touching;
mod writing;

macro_rules! every_behaviour {
    ($callback:ident $backend:ident $depth:ident) => {
        $callback! { $backend $depth;
            reading {
                a_file_reads_back_as_it_was_written
                binary_content_is_kept_byte_for_byte
                an_empty_file_has_no_bytes
                a_range_gives_those_bytes
                a_range_beyond_the_end_gives_what_is_there
                more_than_the_bound_is_too_large
                reading_a_directory_is_refused
                reading_the_root_is_refused
                a_missing_file_is_not_found
                a_file_as_a_parent_is_not_a_directory
                what_read_says_of_the_file_is_what_stat_says
                stat_of_a_missing_path_is_not_found
                exists_answers_for_files_directories_and_what_is_missing
                exists_is_false_for_what_is_no_path_in_the_workspace
                a_large_file_reads_back
            }
            writing {
                missing_parents_are_created
                a_write_replaces_the_whole_content
                a_path_that_ends_in_a_slash_makes_no_file
                create_new_refuses_what_is_there
                append_adds_to_the_end
                append_creates_a_missing_file
                a_reader_keeps_what_it_read_before_an_append
                if_match_on_a_missing_file_is_a_conflict
                writing_to_a_directory_is_refused
                writing_to_the_root_is_refused
                writing_below_a_file_is_refused
                a_refused_write_leaves_no_parents_behind
                permissions_are_set_without_set_user_id
                a_replaced_file_keeps_its_permissions
                the_longest_name_is_fine_and_a_longer_one_is_invalid
                names_with_spaces_unicode_and_invalid_utf8_are_kept
                a_hundred_levels_of_directories_are_fine
                concurrent_writers_leave_one_of_their_contents
                concurrent_appends_lose_nothing
                of_concurrent_exclusive_creators_one_wins
                a_value_does_not_follow_what_its_owner_does_with_it_later
            }
            directories {
                a_directory_of_parents_is_listed
                a_listing_is_sorted_in_byte_order
                a_listing_with_stat_says_what_stat_says
                a_listing_without_stat_has_none
                an_empty_directory_has_no_entries
                listing_a_file_is_not_a_directory
                listing_a_missing_directory_is_not_found
                a_directory_is_created
                creating_what_exists_is_refused
                creating_recursively_makes_parents_and_accepts_what_exists
                creating_below_a_missing_parent_is_not_found
                creating_below_a_file_is_not_a_directory
                creating_where_a_file_is_already_exists
                a_directory_beside_names_that_sort_around_it_lists_only_its_own
            }
            removing {
                a_file_is_removed
                a_missing_path_is_not_found_unless_forced
                an_empty_directory_is_removed
                a_directory_with_entries_is_removed_only_recursively
                removing_leaves_what_has_a_similar_name
                the_directory_that_held_the_last_file_stays
                only_what_is_meant_is_removed
                the_root_cannot_be_removed
                a_path_below_a_file_is_not_a_directory_to_remove_from
            }
            renaming {
                a_file_is_renamed
                renaming_keeps_what_the_file_is
                renaming_a_file_replaces_a_file
                renaming_onto_itself_changes_nothing
                a_rename_may_insist_on_the_directory_of_its_target
                renaming_what_is_missing_is_not_found
                renaming_creates_the_parents_of_the_target
                a_directory_is_renamed_with_all_that_is_in_it
                a_directory_replaces_an_empty_directory
                a_directory_does_not_replace_one_with_entries
                a_directory_does_not_replace_a_file
                a_file_does_not_replace_a_directory
                a_directory_cannot_move_into_itself
                a_file_does_not_move_below_itself
                nothing_replaces_a_directory_that_it_is_in
                renaming_below_a_file_is_not_a_directory
                the_root_cannot_be_renamed
                renaming_leaves_the_directory_that_is_empty_now
                renaming_without_replacing_takes_a_free_name
                renaming_without_replacing_keeps_whatever_is_at_the_target
                renaming_onto_itself_without_replacing_finds_something_there
                of_concurrent_renames_to_one_name_that_replace_nothing_one_wins
            }
            touching {
                touch_creates_an_empty_file
                touch_never_truncates
                touch_below_a_file_is_not_a_directory
            }
            open {
                an_open_file_is_read_at_any_place
                an_open_file_is_written_in_place
                what_a_write_leaves_out_is_zeros
                a_file_is_created_only_where_asked
                creating_makes_no_parents_but_the_scopes_own
                what_must_be_new_is_refused_where_something_is
                an_upload_empties_what_was_there
                with_append_every_write_goes_to_the_end
                a_file_is_open_only_for_what_was_asked
                only_files_are_opened
                a_reader_keeps_what_it_has_read
                an_open_file_is_cut_and_extended
                the_root_keeps_its_permissions
                what_is_held_ends_with_its_workspace
                errors_of_what_is_held_name_the_operation_and_the_path
            }
            staging {
                a_file_in_pieces_that_is_dropped_was_never_there
                an_empty_file_needs_no_pieces
                a_commit_heeds_the_mode_of_the_write
                what_could_not_be_written_is_refused_by_the_commit
                a_write_in_pieces_is_committed_once
                a_large_file_in_pieces_is_kept_byte_for_byte
            }
            scopes {
                a_path_that_leaves_is_refused_by_every_call
                a_path_with_nul_is_refused_by_every_call
                an_absolute_path_inside_the_root_is_that_path
                an_absolute_path_elsewhere_is_below_the_root
                a_path_that_begins_like_the_root_is_elsewhere
                a_scope_that_leaves_is_refused
                making_a_scope_creates_nothing
                the_first_write_creates_the_scope
                the_first_directory_creates_the_scope
                a_scope_sees_only_what_is_its_own
                a_scope_of_a_scope_is_where_its_path_says
                scopes_of_the_same_directory_share_it
                a_scope_on_a_file_is_not_a_directory
                active_scopes_are_those_that_live
                a_fresh_scope_is_missing_until_it_is_written
            }
            batches {
                a_batch_does_one_after_another_whatever_became_of_those_before
                content_of_any_length_goes_through_a_batch
                an_empty_batch_gives_nothing_and_one_that_is_too_long_is_refused
                the_observer_is_told_of_each_operation_of_a_batch
                who_lacks_a_right_is_told_so_of_each_operation_of_a_batch
            }
            lifecycle {
                every_call_after_destroy_is_refused
                destroying_twice_is_fine
                destroying_a_scope_leaves_the_parent
                destroying_the_parent_ends_its_scopes
                the_log_has_every_operation_that_it_is_said_to_have
                the_observer_is_told_of_every_operation
                what_is_held_is_one_entry_of_the_log
                the_log_says_who_acted
                the_observer_of_a_scope_sees_only_the_scope
                errors_name_the_operation_and_the_path_as_written
            }
        }
    };
}

/// What a server that knows nothing of us does not keep: version 3 of SFTP tells times in whole seconds and no inode, so
/// that two states of a file can have the same etag, and no count of names; what is in the making is seen beside its
/// place; its backend connects when it is first needed. Listing ten thousand entries and removing a deep tree would take
/// minutes there, for their many round trips.
macro_rules! every_exact_behaviour {
    ($callback:ident $backend:ident $depth:ident) => {
        $callback! { $backend $depth;
            reading {
                stat_tells_files_from_directories
            }
            writing {
                if_match_replaces_only_the_state_that_was_seen
                every_write_has_its_own_etag
                a_file_that_was_removed_and_written_again_has_another_etag
                of_concurrent_conditional_writers_one_wins
            }
            directories {
                ten_thousand_entries_are_listed
            }
            removing {
                a_deep_tree_is_removed
            }
            touching {
                touch_sets_the_time_of_modification
                touch_changes_the_etag
                touch_accepts_a_directory
            }
            lifecycle {
                a_workspace_is_connected_until_it_is_destroyed
            }
            open {
                what_is_open_stays_when_its_name_goes
                attributes_are_set_by_path_and_by_handle
                a_file_is_cut_by_path
            }
            staging {
                a_file_in_pieces_is_seen_when_it_is_whole
            }
        }
    };
}

macro_rules! every_search {
    ($callback:ident $backend:ident $depth:ident) => {
        $callback! { $backend $depth;
            searching {
                a_glob_without_a_slash_finds_files_at_any_depth
                a_glob_with_a_slash_is_relative_to_the_base
                directories_are_found_only_where_asked
                hidden_entries_are_found_only_where_asked
                what_is_excluded_is_not_found
                ignore_files_count_where_asked
                ignore_files_above_the_base_count_too
                found_entries_say_what_stat_says
                lines_are_found_with_their_place
                lines_around_a_match_are_context
                a_content_search_is_narrowed_by_globs_and_case
                binary_files_have_no_lines
                a_tree_has_all_entries_parents_first
                a_search_from_what_is_missing_is_not_found
                a_bound_cuts_a_search_short_and_says_so
                a_bad_pattern_is_an_invalid_configuration
                a_cancelled_search_is_aborted
            }
        }
    };
}

macro_rules! every_key {
    ($callback:ident $backend:ident $depth:ident) => {
        $callback! { $backend $depth;
            keys {
                keys_are_relative_to_the_workspace
                a_deleted_key_takes_the_directories_that_it_implied
                clearing_reaches_only_what_is_below
            }
        }
    };
}

macro_rules! without_keys {
    ($callback:ident $backend:ident $depth:ident) => {
        $callback! { $backend $depth;
            keys {
                a_backend_without_keys_says_so
            }
        }
    };
}

macro_rules! every_link {
    ($callback:ident $backend:ident $depth:ident) => {
        $callback! { $backend $depth;
            links {
                a_link_is_made_read_and_followed
                a_link_may_say_anything
                what_is_no_link_has_no_text
                a_link_takes_only_a_free_name
                a_link_below_what_is_missing_is_not_found
                times_of_a_link_are_its_own
                a_link_is_opened_as_what_it_leads_to
                how_full_it_is_can_be_told
            }
        }
    };
}

macro_rules! without_links {
    ($callback:ident $backend:ident $depth:ident) => {
        $callback! { $backend $depth;
            links {
                a_backend_without_links_says_so
            }
        }
    };
}

macro_rules! at_depth {
    ($backend:ident $depth:ident; $($topic:ident { $($behaviour:ident)* })*) => {
        mod $depth {
            $(mod $topic {
                $(#[test]
                fn $behaviour() {
                    let fixture = crate::fixture::Fixture::$backend(crate::fixture::Depth::$depth);
                    crate::$topic::$behaviour(&fixture);
                })*
            })*
        }
    };
}

macro_rules! every_depth {
    ($behaviours:ident $module:ident $backend:ident) => {
        #[allow(non_snake_case, reason = "the modules are named after the depths")]
        mod $module {
            $behaviours! { at_depth $backend Root }
            $behaviours! { at_depth $backend Scope }
            $behaviours! { at_depth $backend ScopeOfScope }
        }
    };
}

every_depth!(every_behaviour memory memory);
every_depth!(every_behaviour local local);
every_depth!(every_behaviour remote remote);
every_depth!(every_search memory_search memory);
every_depth!(every_search remote_search remote);
every_depth!(every_key memory_keys memory);
every_depth!(without_keys local_keys local);
every_depth!(without_keys remote_keys remote);
every_depth!(every_exact_behaviour memory_exact memory);
every_depth!(every_exact_behaviour local_exact local);
every_depth!(every_exact_behaviour remote_exact remote);
every_depth!(every_link local_links local);
every_depth!(every_link remote_links remote);
every_depth!(without_links memory_links memory);

macro_rules! over_sshd {
    ($backend:ident $depth:ident; $($topic:ident { $($behaviour:ident)* })*) => {
        mod $depth {
            $(mod $topic {
                $(#[test]
                fn $behaviour() {
                    if let Some(fixture) = crate::fixture::Fixture::sshd(crate::fixture::Depth::$depth) {
                        crate::$topic::$behaviour(&fixture);
                    }
                })*
            })*
        }
    };
}

#[allow(non_snake_case, reason = "the modules are named after the depths")]
mod sshd_server {
    every_behaviour! { over_sshd sshd Root }
    every_behaviour! { over_sshd sshd ScopeOfScope }
}

#[allow(non_snake_case, reason = "the modules are named after the depths")]
mod sshd_search {
    every_search! { over_sshd sshd Root }
    every_search! { over_sshd sshd ScopeOfScope }
}
