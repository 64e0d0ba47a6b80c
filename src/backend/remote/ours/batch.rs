//! Several operations in as few round trips as their content allows, which is nearly always one.

use std::sync::Arc;

use super::calls::{Calls, opened};
use super::{transfer, unexpected};
use crate::backend::ReadOptions;
use crate::backend::remote::progress::Progress;
use crate::call::BoxFuture;
use crate::error::Result;
use crate::path::RelPath;
use crate::wire::MAX_MESSAGE;
use crate::wire::operations::{Answer, INLINE_BYTES, MAX_BATCH, Operation, Request};
use crate::wire::sftp;

/// Of a message, what may be content and names; the rest is for what stands around them.
const ROOM: usize = MAX_MESSAGE - (512 << 10);
/// What an operation takes besides its content, at most: two paths and an etag.
const HEAD: usize = 9 << 10;

/// One after another, also across messages: the next is sent when the one before has been answered.
pub(super) fn perform(
    calls: &Arc<Calls>,
    request: Request,
    progress: Progress,
) -> BoxFuture<Result<Answer>> {
    let Request { scope, operation } = request;
    let Operation::Batch(operations) = operation else {
        return Box::pin(std::future::ready(Err(unexpected())));
    };
    let mut groups = groups(operations).into_iter();
    // The first goes out before anybody waits.
    let first = groups
        .next()
        .map(|group| send(calls, &scope, group, &progress));
    let calls = Arc::clone(calls);
    Box::pin(async move {
        let mut answers = Vec::new();
        let mut next = first;
        while let Some(answered) = next {
            answers.extend(answered.await);
            next = groups
                .next()
                .map(|group| send(&calls, &scope, group, &progress));
        }
        Ok(Answer::Batch(answers))
    })
}

/// A message, or something that is too long for one.
fn send(
    calls: &Arc<Calls>,
    scope: &RelPath,
    group: Vec<Operation>,
    progress: &Progress,
) -> BoxFuture<Vec<Result<Answer>>> {
    let count = group.len();
    let reads: Vec<Option<ReadOptions>> = group.iter().map(read_options).collect();
    let scope = scope.clone();
    let large =
        matches!(&group[..], [Operation::Write { content, .. }] if content.len() > INLINE_BYTES);
    let (calls, progress) = (Arc::clone(calls), progress.clone());
    if large {
        let request = group
            .into_iter()
            .next()
            .map(|operation| Request { scope, operation });
        return Box::pin(async move {
            match request {
                Some(request) => vec![transfer::write(&calls, request, progress).await],
                None => Vec::new(),
            }
        });
    }
    let operation = Operation::Batch(group);
    let sent = calls.send_operation(&Request { scope, operation });
    Box::pin(async move {
        let answered = match sent {
            Ok(waiting) => calls.answer(waiting, &progress).await,
            Err(error) => Err(error),
        };
        let answers = match answered {
            Ok(Answer::Batch(answers)) if answers.len() == count => answers,
            Ok(_) => vec![Err(unexpected()); count],
            Err(error) => vec![Err(error); count],
        };
        let mut complete = Vec::with_capacity(count);
        let mut left = Left {
            calls: Arc::clone(&calls),
            answers: answers.into_iter(),
        };
        for read in reads {
            complete.push(match left.answers.next() {
                Some(Ok(answer)) => calls.complete(answer, read.as_ref(), &progress).await,
                Some(Err(error)) => Err(error),
                None => Err(unexpected()),
            });
        }
        complete
    })
}

/// Answers that have not been looked at: dropped, what they opened is closed.
struct Left {
    calls: Arc<Calls>,
    answers: std::vec::IntoIter<Result<Answer>>,
}

impl Drop for Left {
    fn drop(&mut self) {
        for handle in self.answers.by_ref().flatten().filter_map(opened) {
            self.calls.send_off(&sftp::Request::Close { handle });
        }
    }
}

fn read_options(operation: &Operation) -> Option<ReadOptions> {
    match operation {
        Operation::Read { options, .. } => Some(options.clone()),
        _ => None,
    }
}

/// In order, as many together as one message holds.
fn groups(operations: Vec<Operation>) -> Vec<Vec<Operation>> {
    let mut groups: Vec<Vec<Operation>> = Vec::new();
    let mut room = 0;
    for operation in operations {
        let content = match &operation {
            Operation::Write { content, .. } => content.len(),
            _ => 0,
        };
        let size = content + HEAD;
        let is_small = content <= INLINE_BYTES;
        let fits =
            is_small && size <= room && groups.last().is_some_and(|group| group.len() < MAX_BATCH);
        match groups.last_mut() {
            Some(group) if fits => {
                group.push(operation);
                room -= size;
            }
            _ => {
                groups.push(vec![operation]);
                // What is written in pieces has no companions.
                room = match is_small {
                    true => ROOM.saturating_sub(size),
                    false => 0,
                };
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::backend::WriteOptions;

    fn write(length: usize) -> Operation {
        Operation::Write {
            path: RelPath::root(),
            content: Bytes::from(vec![0; length]),
            options: WriteOptions::default(),
        }
    }

    fn counts(lengths: &[usize]) -> Vec<usize> {
        let operations = lengths.iter().map(|length| write(*length)).collect();
        groups(operations).iter().map(Vec::len).collect()
    }

    #[test]
    fn a_hundred_small_writes_are_one_message() {
        assert_eq!(counts(&[1024; 100]), [100]);
    }

    #[test]
    fn what_is_too_long_for_a_message_goes_for_itself() {
        assert_eq!(counts(&[1, INLINE_BYTES + 1, 1, 1]), [1, 1, 2]);
        assert_eq!(counts(&[INLINE_BYTES; 4]), [3, 1]);
        assert!(counts(&[]).is_empty());
    }
}
