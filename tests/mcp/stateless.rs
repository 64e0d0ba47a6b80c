//! The tools behind HTTP, without a network: what an answer keeps until it is sent.

use agent_backend::backend::memory::{MemoryBackend, MemoryOptions};
use agent_backend::backend::{Content, WriteOptions};
use agent_backend::mcp::protocol::{HttpAnswer, HttpService, Kept};
use agent_backend::pool;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use tokio_util::sync::CancellationToken;

async fn ask(service: &HttpService, workspace: &Workspace, accept: &str) -> HttpAnswer {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call",
        "params":{"name":"read_text_file","arguments":{"path":"a"}}}"#;
    let request = Request::post("/mcp")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("accept", accept)
        .body(Bytes::from_static(call.as_bytes()))
        .unwrap();
    service.answer(workspace, request).await
}

#[test]
fn long_answers_are_counted_until_they_are_dropped() {
    pool::runtime().block_on(async {
        let workspace = Workspace::new(
            MemoryBackend::new(MemoryOptions::default()).unwrap(),
            WorkspaceOptions {
                max_waiting_bytes: Some(250 << 10),
                ..WorkspaceOptions::default()
            },
            ScopeOptions::default(),
        );
        let text = Content::owned("x".repeat(100 << 10));
        (workspace.write("a", text, WriteOptions::default()))
            .await
            .unwrap();
        let service = HttpService::new(CancellationToken::new(), 1 << 20);
        for accept in ["application/json", "text/event-stream"] {
            let mut kept = Vec::new();
            for number in 0..3 {
                let answer = ask(&service, &workspace, accept).await;
                kept.push(answer.extensions().get::<Kept>().unwrap().clone());
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                let text = String::from_utf8(body.to_vec()).unwrap();
                assert_eq!(text.contains("xxx"), number < 2, "{number}");
                assert_eq!(text.contains("LIMIT_EXCEEDED"), number == 2, "{number}");
            }
            drop(kept);
        }
    });
}
