//! What was sent, over HTTP: the only place where addresses are shown.

use axum::Json;
use axum::extract::{Path, Query, State};
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::Admin;
use super::http::{MAX_LISTED, Refused, Reply, Window, done};
use crate::simulator::received::ReceivedMessage;
use crate::simulator::state::{Attachment, Content, Parts};

/// Messages without their contents, and the counts.
pub(super) async fn list(State(admin): State<Admin>, Query(Window { after, limit }): Query<Window>) -> Json<Value> {
    let messages = admin.received_after(after, limit.unwrap_or(MAX_LISTED).min(MAX_LISTED));
    let messages: Vec<Value> = messages.iter().map(|message| summary(message)).collect();
    Json(json!({
        "messages": messages,
        "last": admin.last_received(),
        "total": admin.received_total(),
        "byDomain": admin.received_by_domain(),
    }))
}

/// One message with its content.
pub(super) async fn one(State(admin): State<Admin>, Path(seq): Path<u64>) -> Reply {
    let message = admin
        .received_message(seq)
        .ok_or_else(|| Refused::not_found(format!("there is no message {seq}, or it is not kept any more")))?;
    let mut shown = summary(&message);
    shown["content"] = content(&message.content);
    Ok(Json(shown))
}

pub(super) async fn clear(State(admin): State<Admin>) -> Json<Value> {
    admin.clear_received();
    done()
}

fn summary(message: &ReceivedMessage) -> Value {
    let ReceivedMessage {
        seq,
        time,
        message_id,
        operation,
        configuration_set,
        tenant,
        tags,
        from,
        destination,
        recipients,
        content,
        access_key,
    } = message;
    let tags: serde_json::Map<_, _> = tags.iter().map(|tag| (tag.name.clone(), json!(tag.value))).collect();
    json!({
        "seq": seq,
        "time": time,
        "messageId": message_id,
        "operation": operation,
        "configurationSet": configuration_set,
        "tenant": tenant,
        "tags": tags,
        "from": from,
        "destination": {"to": destination.to, "cc": destination.cc, "bcc": destination.bcc},
        "recipients": recipients,
        "bytes": content.len(),
        "accessKey": access_key,
    })
}

fn content(content: &Content) -> Value {
    match content {
        Content::Simple(parts) => json!({"simple": shown(parts)}),
        Content::Raw(bytes) => json!({"raw": BASE64.encode(bytes)}),
        Content::Template { name, rendered } => match rendered {
            Ok(parts) => json!({"template": name, "simple": shown(parts)}),
            Err(failure) => json!({"template": name, "renderingFailure": failure}),
        },
    }
}

fn shown(parts: &Parts) -> Value {
    let Parts {
        subject,
        text,
        html,
        headers,
        attachments,
    } = parts;
    let headers: Vec<_> = headers
        .iter()
        .map(|header| json!([header.name, header.value]))
        .collect();
    let attachment = |attachment: &Attachment| {
        let Attachment {
            file_name,
            content_type,
            content,
        } = attachment;
        json!({"fileName": file_name, "contentType": content_type, "content": BASE64.encode(content)})
    };
    json!({
        "subject": subject,
        "text": text,
        "html": html,
        "headers": headers,
        "attachments": attachments.iter().map(attachment).collect::<Vec<_>>(),
    })
}
