//! Arguments against the schema of their tool: as much of JSON Schema as the definitions use, and the words in which
//! the reference's validator (zod) tells what does not fit, since each names its argument.

use serde_json::Value;

/// Nobody reads more problems than this.
const MAX_PROBLEMS: usize = 32;

/// Everything that is wrong with a value, in the order of the schema. Properties that the schema does not name pass,
/// unless it says that there are no others.
pub(super) fn check(schema: &Value, value: &Value) -> Vec<String> {
    let mut problems = Problems::default();
    problems.check(schema, Some(value), &mut Path::default());
    problems.0
}

#[derive(Default)]
struct Problems(Vec<String>);

/// Where in the arguments we are, as `edits[0].oldText`.
#[derive(Default)]
struct Path(String);

impl Path {
    /// Runs `f` one step deeper.
    fn at(&mut self, step: &str, f: impl FnOnce(&mut Self)) {
        let length = self.0.len();
        if length > 0 && !step.starts_with('[') {
            self.0.push('.');
        }
        self.0.push_str(step);
        f(self);
        self.0.truncate(length);
    }
}

impl Problems {
    fn add(&mut self, path: &Path, problem: &str) {
        if self.0.len() < MAX_PROBLEMS {
            self.0.push(if path.0.is_empty() {
                problem.to_owned()
            } else {
                format!("{problem} at {}", path.0)
            });
        }
    }

    fn check(&mut self, schema: &Value, value: Option<&Value>, path: &mut Path) {
        if let Some(options) = schema["enum"].as_array() {
            return self.check_option(options, value, path);
        }
        let expected = schema["type"].as_str().unwrap_or_default();
        match (expected, value) {
            ("string", Some(Value::String(_))) | ("boolean", Some(Value::Bool(_))) => {}
            ("number", Some(Value::Number(number))) => self.check_number(schema, number, path),
            ("integer", Some(Value::Number(number))) => {
                if number.as_f64().is_some_and(|number| number.fract() != 0.0) {
                    return self.add(path, "Invalid input: expected int, received number");
                }
                self.check_number(schema, number, path);
            }
            ("array", Some(Value::Array(items))) => self.check_items(schema, items, path),
            ("object", Some(Value::Object(_))) => self.check_properties(schema, value, path),
            _ => {
                let expected = match (expected, &schema["additionalProperties"]) {
                    ("integer", _) => "number",
                    ("object", Value::Object(_)) => "record",
                    (expected, _) => expected,
                };
                self.add(
                    path,
                    &format!(
                        "Invalid input: expected {expected}, received {}",
                        type_of(value)
                    ),
                );
            }
        }
    }

    fn check_option(&mut self, options: &[Value], value: Option<&Value>, path: &Path) {
        if !value.is_some_and(|value| options.contains(value)) {
            let options: Vec<String> = options.iter().map(Value::to_string).collect();
            self.add(
                path,
                &format!("Invalid option: expected one of {}", options.join("|")),
            );
        }
    }

    fn check_number(&mut self, schema: &Value, number: &serde_json::Number, path: &Path) {
        let Some(minimum) = schema["minimum"].as_i64() else {
            return;
        };
        #[allow(
            clippy::cast_precision_loss,
            reason = "the bounds of the definitions are small"
        )]
        if number
            .as_f64()
            .is_some_and(|number| number < minimum as f64)
        {
            self.add(
                path,
                &format!("Too small: expected number to be >={minimum}"),
            );
        }
    }

    fn check_items(&mut self, schema: &Value, items: &[Value], path: &mut Path) {
        let least = schema["minItems"].as_u64().unwrap_or_default();
        if (items.len() as u64) < least {
            self.add(
                path,
                &format!("Too small: expected array to have >={least} items"),
            );
        }
        for (index, item) in items.iter().enumerate() {
            path.at(&format!("[{index}]"), |path| {
                self.check(&schema["items"], Some(item), path);
            });
        }
    }

    fn check_properties(&mut self, schema: &Value, value: Option<&Value>, path: &mut Path) {
        let Some(given) = value.and_then(Value::as_object) else {
            return;
        };
        let required = schema["required"].as_array();
        let is_required =
            |name: &str| required.is_some_and(|names| names.iter().any(|one| one == name));
        let empty = serde_json::Map::new();
        for (name, property) in schema["properties"].as_object().unwrap_or(&empty) {
            let value = given.get(name);
            if value.is_some() || is_required(name) {
                path.at(name, |path| self.check(property, value, path));
            }
        }
        if schema["additionalProperties"] == false {
            for name in given
                .keys()
                .filter(|name| schema["properties"].get(name.as_str()).is_none())
            {
                self.add(path, &format!("Unrecognized key: {name:?}"));
            }
        }
        if let Some(every) = schema
            .get("additionalProperties")
            .filter(|every| every.is_object())
        {
            for (name, value) in given {
                path.at(name, |path| self.check(every, Some(value), path));
            }
        }
    }
}

fn type_of(value: Option<&Value>) -> &'static str {
    match value {
        None => "undefined",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "path": { "type": "string" },
                "edits": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "properties": { "oldText": { "type": "string" }, "newText": { "type": "string" } },
                        "required": ["oldText", "newText"]
                    }
                },
                "sortBy": { "type": "string", "enum": ["name", "size"] },
                "env": { "type": "object", "additionalProperties": { "type": "string" } },
                "limit": { "type": "integer", "minimum": 1 }
            },
            "required": ["path", "edits"]
        })
    }

    #[test]
    fn arguments_that_fit_pass_whatever_else_is_there() {
        let edit = json!({ "oldText": "a", "newText": "b" });
        let value = json!({
            "path": "a", "edits": [edit], "env": { "A": "1" }, "limit": 3, "unknown": null
        });
        assert_eq!(check(&schema(), &value), Vec::<String>::new());
    }

    #[test]
    fn each_problem_names_its_argument_in_the_order_of_the_schema() {
        let value = json!({
            "edits": [{ "oldText": 1 }, 3], "sortBy": "mtime", "env": { "A": 1 }, "limit": 0.5
        });
        assert_eq!(
            check(&schema(), &value),
            [
                "Invalid input: expected string, received undefined at path",
                "Invalid input: expected string, received number at edits[0].oldText",
                "Invalid input: expected string, received undefined at edits[0].newText",
                "Invalid input: expected object, received number at edits[1]",
                "Invalid option: expected one of \"name\"|\"size\" at sortBy",
                "Invalid input: expected string, received number at env.A",
                "Invalid input: expected int, received number at limit",
            ]
        );
        assert_eq!(
            check(&schema(), &json!({ "path": "a", "edits": [], "limit": 0 })),
            [
                "Too small: expected array to have >=1 items at edits",
                "Too small: expected number to be >=1 at limit",
            ]
        );
        assert_eq!(
            check(&schema(), &json!([])),
            ["Invalid input: expected object, received array"]
        );
    }

    #[test]
    fn what_a_closed_schema_does_not_name_is_a_problem() {
        let mut schema = schema();
        schema["additionalProperties"] = false.into();
        let value =
            json!({ "path": "a", "edits": [{ "oldText": "a", "newText": "b" }], "timeoutMs": 1 });
        assert_eq!(check(&schema, &value), ["Unrecognized key: \"timeoutMs\""]);
    }

    #[test]
    fn a_thousand_problems_are_told_as_a_few() {
        let value = json!({ "path": "a", "edits": vec![1; 1000] });
        assert_eq!(check(&schema(), &value).len(), MAX_PROBLEMS);
    }
}
