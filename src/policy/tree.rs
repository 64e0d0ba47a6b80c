//! Reads shell text with the parser. The only place that knows the parser's tree.
//!
//! The parser recurses, and some inputs take it exponential time: callers bound the nesting first and give it a
//! thread of its own (see [`super::bounded`]).

use std::rc::Rc;

use brush_parser::ast::{
    AssignmentName, AssignmentValue, Command, CommandPrefixOrSuffixItem, CompoundCommand,
    CompoundList, ExtendedTestExpr, IoFileRedirectKind, IoFileRedirectTarget, IoRedirect,
    Pipeline as ParsedPipeline, ProcessSubstitutionKind, Program, RedirectList, SeparatorOperator,
    SimpleCommand, SubshellCommand,
};
use brush_parser::{Parser, ParserOptions};

use super::syntax::{Pipeline, Redirect, RedirectKind, Simple, Stage, Step};

/// The steps of a script; `None` where the parser cannot read it. Process substitutions are left to the token reader,
/// because the parser's tree would not give them back as they were written, and so is what makes the parser panic.
pub(super) fn parse(text: &str) -> Option<Vec<Step>> {
    if text.contains("<(") || text.contains(">(") || text.lines().any(substitutes_after_document) {
        return None;
    }
    // Against panics of the parser that nobody has met yet.
    let program: Program = std::panic::catch_unwind(|| {
        Parser::new(text.as_bytes(), &ParserOptions::default()).parse_program()
    })
    .ok()?
    .ok()?;
    let mut steps = Vec::new();
    for list in &program.complete_commands {
        compound_list(list, &mut steps);
    }
    Some(steps)
}

/// `<<END $(`: where the substitution goes on in the next line, the parser panics.
fn substitutes_after_document(line: &str) -> bool {
    let mut rest = line;
    while let Some((_, after)) = rest.split_once("<<") {
        if !after.starts_with('<') {
            return after.contains(['$', '`']);
        }
        rest = &after[1..];
    }
    false
}

fn compound_list(list: &CompoundList, steps: &mut Vec<Step>) {
    for item in &list.0 {
        let background = matches!(item.1, SeparatorOperator::Async);
        pipeline(&item.0.first, background, false, steps);
        for next in &item.0.additional {
            let (brush_parser::ast::AndOr::And(next) | brush_parser::ast::AndOr::Or(next)) = next;
            pipeline(next, background, true, steps);
        }
    }
}

fn steps_of(list: &CompoundList) -> Vec<Step> {
    let mut steps = Vec::new();
    compound_list(list, &mut steps);
    steps
}

fn pipeline(pipeline: &ParsedPipeline, background: bool, conditional: bool, steps: &mut Vec<Step>) {
    let mut stages = Vec::with_capacity(pipeline.seq.len());
    for command in &pipeline.seq {
        match command {
            Command::Simple(simple) => stages.push(Stage::Simple(simple_command(simple))),
            Command::Compound(compound, redirects) => stages.push(Stage::Group {
                subshell: matches!(compound, CompoundCommand::Subshell(_)),
                steps: compound_command(compound),
                redirects: redirect_list(redirects.as_ref()),
            }),
            Command::Function(function) => steps.push(Step::Define {
                name: function.fname.value.clone(),
                body: Rc::new(compound_command(&function.body.0)),
            }),
            Command::ExtendedTest(test, redirects) => {
                let mut words = Vec::new();
                test_words(&test.expr, &mut words);
                stages.push(Stage::Group {
                    subshell: false,
                    steps: vec![Step::Words(words)],
                    redirects: redirect_list(redirects.as_ref()),
                });
            }
        }
    }
    if !stages.is_empty() {
        steps.push(Step::Pipeline(Pipeline {
            stages,
            background,
            conditional,
        }));
    }
}

fn compound_command(compound: &CompoundCommand) -> Vec<Step> {
    let mut steps = Vec::new();
    match compound {
        CompoundCommand::Arithmetic(arithmetic) => {
            steps.push(Step::Words(vec![arithmetic.expr.value.clone()]));
        }
        CompoundCommand::ArithmeticForClause(clause) => {
            let parts = [&clause.initializer, &clause.condition, &clause.updater];
            let words = parts
                .iter()
                .filter_map(|part| part.as_ref().map(|expr| expr.value.clone()));
            steps.push(Step::Words(words.collect()));
            let endless = clause
                .condition
                .as_ref()
                .is_none_or(|expr| matches!(expr.value.trim(), "" | "1"));
            let body = steps_of(&clause.body.list);
            steps.push(if endless {
                Step::Repeat {
                    until: false,
                    condition: Vec::new(),
                    body,
                }
            } else {
                Step::Maybe(body)
            });
        }
        CompoundCommand::BraceGroup(group) => compound_list(&group.list, &mut steps),
        CompoundCommand::Subshell(subshell) => compound_list(&subshell.list, &mut steps),
        CompoundCommand::ForClause(clause) => steps.push(Step::Loop {
            variable: clause.variable_name.clone(),
            values: clause.values.as_ref().map_or_else(Vec::new, |words| {
                words.iter().map(|word| word.value.clone()).collect()
            }),
            body: steps_of(&clause.body.list),
        }),
        CompoundCommand::CaseClause(clause) => {
            steps.push(Step::Words(vec![clause.value.value.clone()]));
            for case in &clause.cases {
                if let Some(list) = &case.cmd {
                    steps.push(Step::Maybe(steps_of(list)));
                }
            }
        }
        CompoundCommand::IfClause(clause) => {
            compound_list(&clause.condition, &mut steps);
            steps.push(Step::Maybe(steps_of(&clause.then)));
            for other in clause.elses.iter().flatten() {
                let mut branch = other.condition.as_ref().map_or_else(Vec::new, steps_of);
                compound_list(&other.body, &mut branch);
                steps.push(Step::Maybe(branch));
            }
        }
        CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
            steps.push(Step::Repeat {
                until: matches!(compound, CompoundCommand::UntilClause(_)),
                condition: steps_of(&clause.0),
                body: steps_of(&clause.1.list),
            });
        }
        CompoundCommand::Coprocess(coprocess) => pipeline(
            &ParsedPipeline {
                timed: None,
                bang: false,
                seq: vec![(*coprocess.body).clone()],
            },
            true,
            false,
            &mut steps,
        ),
    }
    steps
}

fn test_words(expr: &ExtendedTestExpr, words: &mut Vec<String>) {
    match expr {
        ExtendedTestExpr::And(a, b) | ExtendedTestExpr::Or(a, b) => {
            test_words(a, words);
            test_words(b, words);
        }
        ExtendedTestExpr::Not(inner) | ExtendedTestExpr::Parenthesized(inner) => {
            test_words(inner, words);
        }
        ExtendedTestExpr::UnaryTest(_, word) => words.push(word.value.clone()),
        ExtendedTestExpr::BinaryTest(_, a, b) => {
            words.push(a.value.clone());
            words.push(b.value.clone());
        }
    }
}

fn simple_command(command: &SimpleCommand) -> Simple {
    let mut simple = Simple::default();
    for item in command.prefix.iter().flat_map(|prefix| &prefix.0) {
        suffix_item(item, true, &mut simple);
    }
    if let Some(name) = &command.word_or_name {
        simple.words.push(name.value.clone());
    }
    for item in command.suffix.iter().flat_map(|suffix| &suffix.0) {
        suffix_item(item, false, &mut simple);
    }
    simple
}

fn suffix_item(item: &CommandPrefixOrSuffixItem, prefix: bool, simple: &mut Simple) {
    match item {
        CommandPrefixOrSuffixItem::IoRedirect(io) => redirect(io, &mut simple.redirects),
        CommandPrefixOrSuffixItem::Word(word) => simple.words.push(word.value.clone()),
        CommandPrefixOrSuffixItem::AssignmentWord(assignment, word) => {
            if !prefix {
                simple.words.push(word.value.clone());
                return;
            }
            let (AssignmentName::VariableName(name) | AssignmentName::ArrayElementName(name, _)) =
                &assignment.name;
            let values = match &assignment.value {
                AssignmentValue::Scalar(value) => vec![value.value.clone()],
                AssignmentValue::Array(items) => {
                    items.iter().map(|(_, value)| value.value.clone()).collect()
                }
            };
            simple.assignments.push((name.clone(), values));
        }
        CommandPrefixOrSuffixItem::ProcessSubstitution(kind, subshell) => {
            simple.words.push(process_text(kind, subshell));
        }
    }
}

/// A process substitution as a word, to be read again where the word is expanded.
fn process_text(kind: &ProcessSubstitutionKind, subshell: &SubshellCommand) -> String {
    let sign = match kind {
        ProcessSubstitutionKind::Read => '<',
        ProcessSubstitutionKind::Write => '>',
    };
    format!("{sign}({}\n)", subshell.list)
}

fn redirect_list(list: Option<&RedirectList>) -> Vec<Redirect> {
    let mut redirects = Vec::new();
    for io in list.iter().flat_map(|list| &list.0) {
        redirect(io, &mut redirects);
    }
    redirects
}

fn redirect(io: &IoRedirect, redirects: &mut Vec<Redirect>) {
    let (kind, text, descriptor) = match io {
        IoRedirect::File(descriptor, kind, target) => {
            let mut kind = match kind {
                IoFileRedirectKind::Read | IoFileRedirectKind::DuplicateInput => RedirectKind::Read,
                _ => RedirectKind::Write,
            };
            let text = match target {
                IoFileRedirectTarget::Filename(word) | IoFileRedirectTarget::Duplicate(word) => {
                    word.value.clone()
                }
                IoFileRedirectTarget::Fd(number) => number.to_string(),
                IoFileRedirectTarget::ProcessSubstitution(kind, subshell) => {
                    process_text(kind, subshell)
                }
            };
            if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
                kind = RedirectKind::Duplicate;
            }
            (kind, text, *descriptor)
        }
        IoRedirect::HereDocument(_, document) => (
            RedirectKind::HereDocument {
                expand: document.requires_expansion,
            },
            document.doc.value.clone(),
            None,
        ),
        IoRedirect::HereString(_, word) => (RedirectKind::HereString, word.value.clone(), None),
        IoRedirect::OutputAndError(word, _) => (RedirectKind::Write, word.value.clone(), None),
    };
    redirects.push(Redirect {
        kind,
        descriptor: descriptor.and_then(|number| u32::try_from(number).ok()),
        text,
    });
}
