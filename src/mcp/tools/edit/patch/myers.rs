//! The shortest way from some lines to others, the one that jsdiff finds.
//!
//! It is the greedy search of Myers (1986): after each further change, how far one gets on each diagonal of the edit
//! graph. Of equally short ways the result is that of jsdiff 8: the order in which diagonals are tried, which of two
//! ways is preferred, and which diagonals are given up at the edges are the same. jsdiff keeps every way as a linked
//! list; here one bit for each diagonal and round says how it was reached, and the way is walked again at the end.
//!
//! Lines are numbers, equal where the lines are. A line of the common tail gets its number only once a way leads
//! there, and a way on the last diagonal that reaches the tail is at its end: a small change costs the same in a
//! large file.

use std::time::{Duration, Instant};

use super::super::numbers::Numbers;
use super::{count_lines, take_line};

/// What happens to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Same,
    Removed,
    Added,
}

/// That it happens to this many lines in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) kind: Kind,
    pub(super) count: usize,
}

/// What may be spent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    pub(super) time: Duration,
    /// Lines removed and added. Memory grows with the square of this.
    pub(super) changes: usize,
    /// Lines that are looked at.
    pub(super) lines: usize,
}

/// A diagonal on which no way stands.
const NOWHERE: i32 = -1;
/// Lines of the tail that are read at first.
const FIRST_READ: usize = 32;
/// The clock is read each time this many lines have been read or compared.
const STEPS_BETWEEN_LOOKS: usize = 1 << 14;

/// The runs that lead from `old` to `new`, both followed by `tail`; nothing where it takes too much to find them.
///
/// Whole lines, of which only the last of all may lack its end. `old` and `new` differ in their first line, or one of
/// them is empty.
pub(super) fn shortest(old: &[u8], new: &[u8], tail: &[u8], effort: Effort) -> Option<Vec<Run>> {
    let mut clock = Clock {
        deadline: Instant::now() + effort.time,
        steps: 0,
    };
    let lines = Lines::new(old, new, tail, effort.lines, &mut clock)?;
    if lines.fewest_changes() > effort.changes {
        return None;
    }
    let mut search = Search::new(lines, effort.changes, clock);
    let changes = search.run()?;
    Some(search.way(changes))
}

/// The runs that remove all of `old` and then add all of `new`.
pub(super) fn replaced(old: &[u8], new: &[u8], tail: &[u8]) -> Vec<Run> {
    let mut runs = Vec::new();
    push(&mut runs, Kind::Removed, count_lines(old));
    push(&mut runs, Kind::Added, count_lines(new));
    push(&mut runs, Kind::Same, count_lines(tail));
    runs
}

fn push(runs: &mut Vec<Run>, kind: Kind, count: usize) {
    match runs.last_mut() {
        Some(last) if last.kind == kind => last.count += count,
        _ if count == 0 => {}
        _ => runs.push(Run { kind, count }),
    }
}

/// Says when time is up, and seldom asks for the time.
struct Clock {
    deadline: Instant,
    steps: usize,
}

impl Clock {
    fn step(&mut self, steps: usize) -> Option<()> {
        self.steps += steps;
        if self.steps >= STEPS_BETWEEN_LOOKS {
            self.steps = 0;
            if Instant::now() > self.deadline {
                return None;
            }
        }
        Some(())
    }
}

/// Both sides as numbers, as far as they have been read: at least up to the tail.
struct Lines<'a> {
    old: Vec<u32>,
    new: Vec<u32>,
    /// Old lines before the tail.
    old_middle: usize,
    old_length: usize,
    new_length: usize,
    numbers: Numbers<'a>,
    most: usize,
    /// What is not yet read of the tail, and how many lines of it are read next.
    tail: &'a [u8],
    next_read: usize,
}

impl<'a> Lines<'a> {
    fn new(
        old: &'a [u8],
        new: &'a [u8],
        tail: &'a [u8],
        most: usize,
        clock: &mut Clock,
    ) -> Option<Self> {
        let (old_middle, new_middle) = (count_lines(old), count_lines(new));
        if old_middle + new_middle > most {
            return None;
        }
        let mut numbers = Numbers::with_capacity(old_middle.max(new_middle));
        let mut read = |mut text: &'a [u8], lines| {
            let mut side = Vec::with_capacity(lines);
            while !text.is_empty() {
                side.push(numbers.number(take_line(&mut text)));
                clock.step(1)?;
            }
            Some(side)
        };
        let old = read(old, old_middle)?;
        let new = read(new, new_middle)?;
        let tail_length = count_lines(tail);
        Some(Self {
            old,
            new,
            old_middle,
            old_length: old_middle + tail_length,
            new_length: new_middle + tail_length,
            numbers,
            most,
            tail,
            next_read: FIRST_READ,
        })
    }

    /// Reads more of the tail on both sides, unless that would be too much.
    fn read_more(&mut self, clock: &mut Clock) -> Option<()> {
        if self.old.len() + self.new.len() > self.most {
            return None;
        }
        for _ in 0..self.next_read {
            if self.tail.is_empty() {
                break;
            }
            let number = self.numbers.number(take_line(&mut self.tail));
            self.old.push(number);
            self.new.push(number);
        }
        clock.step(self.next_read)?;
        self.next_read *= 2;
        Some(())
    }

    /// No way has fewer changes: each line that one side has more often than the other is one.
    fn fewest_changes(&self) -> usize {
        let mut more = vec![0_i32; self.numbers.len()];
        for &number in &self.old {
            more[number as usize] += 1;
        }
        for &number in &self.new {
            more[number as usize] -= 1;
        }
        more.iter().map(|many| many.unsigned_abs() as usize).sum()
    }

    /// How many lines are equal from here on, as far as both sides have been read.
    fn common(&self, old: usize, new: usize) -> usize {
        match (self.old.get(old..), self.new.get(new..)) {
            (Some(old), Some(new)) => old.iter().zip(new).take_while(|(a, b)| a == b).count(),
            _ => 0,
        }
    }

    /// Whether there is a line on both sides and the two are known to differ.
    fn differ(&self, old: usize, new: usize) -> bool {
        match (self.old.get(old), self.new.get(new)) {
            (Some(old), Some(new)) => old != new,
            _ => false,
        }
    }
}

/// How each diagonal was reached in each round.
#[derive(Default)]
struct Decisions {
    /// A bit for each second diagonal: 1 where a line was added. Each round begins a word.
    words: Vec<u64>,
    /// The first diagonal of each round and its word.
    rounds: Vec<(isize, usize)>,
}

impl Decisions {
    fn begin_round(&mut self, first_diagonal: isize) {
        self.rounds.push((first_diagonal, self.words.len()));
    }

    /// Whether a line was added to reach a diagonal. Rounds are counted from 0.
    fn added(&self, round: usize, diagonal: isize) -> bool {
        let (first, word) = self.rounds[round];
        let at = (diagonal - first) as usize / 2;
        self.words[word + at / 64] >> (at % 64) & 1 == 1
    }
}

/// A diagonal is the old lines that are behind one, less the new ones.
struct Search<'a> {
    lines: Lines<'a>,
    clock: Clock,
    most_changes: usize,
    /// How many old lines are behind one on each diagonal, from `-most_changes - 1` on.
    reached: Vec<i32>,
    decisions: Decisions,
    /// Diagonals beyond these lead along an edge and are given up.
    lowest: isize,
    highest: isize,
}

impl<'a> Search<'a> {
    fn new(lines: Lines<'a>, most_changes: usize, clock: Clock) -> Self {
        let most_changes = most_changes.min(lines.old_length + lines.new_length);
        let mut reached = vec![NOWHERE; 2 * most_changes + 3];
        reached[most_changes + 1] = 0;
        Self {
            lines,
            clock,
            most_changes,
            reached,
            decisions: Decisions::default(),
            lowest: isize::MIN,
            highest: isize::MAX,
        }
    }

    /// The diagonal on which the end of both sides lies.
    fn last_diagonal(&self) -> isize {
        self.lines.old_length as isize - self.lines.new_length as isize
    }

    /// How many changes lead to the end.
    fn run(&mut self) -> Option<usize> {
        for changes in 1..=self.most_changes {
            if self.round(changes as isize)? {
                return Some(changes);
            }
        }
        None
    }

    /// Makes one more change on each diagonal; whether that led to the end.
    ///
    /// Of the two ways to a diagonal the one that is ahead in the old lines is taken, and removing where both are
    /// equally far.
    fn round(&mut self, changes: isize) -> Option<bool> {
        let mut diagonal = self.lowest.max(-changes);
        let mut at = (diagonal + self.most_changes as isize + 1) as usize;
        self.decisions.begin_round(diagonal);
        let (mut word, mut bit) = (0_u64, 0);
        let mut ends = false;
        let mut by_removing = self.reached[at - 1];
        while diagonal <= self.highest.min(changes) && !ends {
            let by_adding = self.reached[at + 1];
            // Nobody else goes on from there.
            self.reached[at - 1] = NOWHERE;
            let can_remove = (by_removing as usize) < self.lines.old_length;
            let can_add = by_adding != NOWHERE
                && by_adding as isize - diagonal <= self.lines.new_length as isize;
            let adds = can_add && !(can_remove && by_removing >= by_adding);
            if can_add || can_remove {
                let old = if adds { by_adding } else { by_removing + 1 } as usize;
                let new = (old as isize - diagonal) as usize;
                self.reached[at] = old as i32;
                if !self.lines.differ(old, new) {
                    ends = self.go_along(diagonal, old, new, at)?;
                }
            } else {
                self.reached[at] = NOWHERE;
            }
            word |= u64::from(adds) << bit;
            bit += 1;
            if bit == 64 {
                self.decisions.words.push(word);
                (word, bit) = (0, 0);
            }
            by_removing = by_adding;
            diagonal += 2;
            at += 2;
        }
        self.decisions.words.push(word);
        self.clock.step(changes as usize)?;
        Some(ends)
    }

    /// Goes along equal lines; whether that led to the end.
    fn go_along(&mut self, diagonal: isize, old: usize, new: usize, at: usize) -> Option<bool> {
        let lines = &mut self.lines;
        let is_last = diagonal == lines.old_length as isize - lines.new_length as isize;
        let mut equal = 0;
        loop {
            equal += lines.common(old + equal, new + equal);
            // All lines of the tail are equal on the last diagonal.
            if is_last && old + equal >= lines.old_middle {
                return Some(true);
            }
            let at_edge = old + equal >= lines.old_length || new + equal >= lines.new_length;
            if at_edge || lines.differ(old + equal, new + equal) {
                break;
            }
            lines.read_more(&mut self.clock)?;
        }
        self.clock.step(equal)?;
        self.reached[at] = (old + equal) as i32;
        if old + equal >= lines.old_length {
            self.highest = self.highest.min(diagonal - 1);
        }
        if new + equal >= lines.new_length {
            self.lowest = self.lowest.max(diagonal + 1);
        }
        Some(false)
    }

    /// The runs of the way with so many changes that was found.
    fn way(&self, changes: usize) -> Vec<Run> {
        let mut diagonal = self.last_diagonal();
        let mut backwards = Vec::with_capacity(changes);
        for round in (0..changes).rev() {
            let added = self.decisions.added(round, diagonal);
            diagonal += if added { 1 } else { -1 };
            backwards.push(added);
        }
        let (mut old, mut new) = (0, 0);
        let mut runs = Vec::new();
        for added in backwards.into_iter().rev() {
            let equal = self.lines.common(old, new);
            push(&mut runs, Kind::Same, equal);
            old += equal;
            new += equal;
            if added {
                push(&mut runs, Kind::Added, 1);
                new += 1;
            } else {
                push(&mut runs, Kind::Removed, 1);
                old += 1;
            }
        }
        push(&mut runs, Kind::Same, self.lines.old_length - old);
        runs
    }
}
