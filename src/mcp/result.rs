//! What a tool gives back, in a form that every door turns into its own without copying the text.

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The result of a call.
#[derive(Clone, Debug)]
pub struct ToolResult {
    /// For the model.
    pub content: Vec<ContentBlock>,
    /// For programs.
    pub structured: Structured,
    /// Whether the call failed.
    pub is_error: bool,
}

/// One piece of content.
#[derive(Clone, Debug)]
pub enum ContentBlock {
    /// Text as UTF-8; what is not UTF-8 stands for U+FFFD.
    Text(Bytes),
    /// An image or sound.
    Media {
        /// Which of the two.
        kind: MediaKind,
        /// In base64.
        data: Bytes,
        /// Such as `image/png`.
        mime_type: &'static str,
    },
    /// Any other file.
    Resource {
        /// A `file:` address.
        uri: String,
        /// Such as `application/octet-stream`.
        mime_type: &'static str,
        /// In base64.
        blob: Bytes,
    },
}

/// The kinds of media content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// `image`
    Image,
    /// `audio`
    Audio,
}

impl MediaKind {
    /// The content type of MCP.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            MediaKind::Image => "image",
            MediaKind::Audio => "audio",
        }
    }
}

/// The `structuredContent` of a result.
#[derive(Clone, Debug, Default)]
pub enum Structured {
    /// None, as for errors.
    #[default]
    None,
    /// `{ "content": <the text of the first block> }`
    Text,
    /// `{ "content": <the content blocks> }`
    Content,
    /// Something of its own.
    Value(Value),
}

impl ToolResult {
    /// A text, which is the structured content too.
    #[must_use]
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self {
            content: vec![ContentBlock::Text(text.into())],
            structured: Structured::Text,
            is_error: false,
        }
    }

    /// A text for the model and a value for programs.
    #[must_use]
    pub fn structured(text: impl Into<Bytes>, value: Value) -> Self {
        Self {
            content: vec![ContentBlock::Text(text.into())],
            structured: Structured::Value(value),
            is_error: false,
        }
    }

    /// One block, which is the structured content too.
    #[must_use]
    pub fn block(block: ContentBlock) -> Self {
        Self {
            content: vec![block],
            structured: Structured::Content,
            is_error: false,
        }
    }

    /// Bytes of its content.
    #[must_use]
    pub fn length(&self) -> usize {
        let blocks = self.content.iter().map(|block| match block {
            ContentBlock::Text(bytes)
            | ContentBlock::Media { data: bytes, .. }
            | ContentBlock::Resource { blob: bytes, .. } => bytes.len(),
        });
        blocks.sum()
    }

    /// A failure in words.
    #[must_use]
    pub fn error(text: impl Into<Bytes>) -> Self {
        Self {
            content: vec![ContentBlock::Text(text.into())],
            structured: Structured::None,
            is_error: true,
        }
    }

    /// The text of the first block; empty where that is none.
    #[must_use]
    pub fn first_text(&self) -> Bytes {
        match self.content.first() {
            Some(ContentBlock::Text(text)) => text.clone(),
            _ => Bytes::new(),
        }
    }

    /// Bytes of text, so that a door may decide where to convert it.
    #[must_use]
    pub fn len(&self) -> usize {
        let length = |block: &ContentBlock| match block {
            ContentBlock::Text(bytes)
            | ContentBlock::Media { data: bytes, .. }
            | ContentBlock::Resource { blob: bytes, .. } => bytes.len(),
        };
        self.content.iter().map(length).sum()
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The content blocks as JSON.
    #[must_use]
    pub fn content_json(&self) -> Vec<Value> {
        self.content.iter().map(ContentBlock::to_json).collect()
    }

    /// The structured content as JSON.
    #[must_use]
    pub fn structured_json(&self) -> Option<Value> {
        match &self.structured {
            Structured::None => None,
            Structured::Text => Some(json!({ "content": lossy(&self.first_text()) })),
            Structured::Content => Some(json!({ "content": self.content_json() })),
            Structured::Value(value) => Some(value.clone()),
        }
    }
}

impl ContentBlock {
    fn to_json(&self) -> Value {
        let mut block = Map::new();
        let mut put = |name: &str, value: Value| block.insert(name.to_owned(), value);
        match self {
            ContentBlock::Text(text) => {
                put("type", "text".into());
                put("text", lossy(text));
            }
            ContentBlock::Media {
                kind,
                data,
                mime_type,
            } => {
                put("type", kind.as_str().into());
                put("data", lossy(data));
                put("mimeType", (*mime_type).into());
            }
            ContentBlock::Resource {
                uri,
                mime_type,
                blob,
            } => {
                put("type", "resource".into());
                put(
                    "resource",
                    json!({ "uri": uri, "mimeType": mime_type, "blob": lossy(blob) }),
                );
            }
        }
        Value::Object(block)
    }
}

fn lossy(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}
