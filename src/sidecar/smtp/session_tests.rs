use proptest::prelude::*;

use super::*;
use crate::sidecar::smtp::test_support::{Dialogue, greeted};

/// Plays a dialogue: `C:` is what a client says, `S:` how the replies to it begin. All replies are to be named.
fn play(mut dialogue: Dialogue, script: &str) -> Dialogue {
    let mut expected: Vec<&str> = Vec::new();
    let mut said = String::from("(connects)");
    let settle = |dialogue: &mut Dialogue, expected: &mut Vec<&str>, said: &str| {
        let replies = dialogue.replies();
        let agree = replies.len() == expected.len() && replies.iter().zip(&*expected).all(|(r, e)| r.starts_with(e));
        assert!(agree, "after {said:?}: {replies:#?} instead of {expected:#?}");
        expected.clear();
    };
    for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        if let Some(reply) = line.strip_prefix("S: ") {
            expected.push(reply);
        } else {
            settle(&mut dialogue, &mut expected, &said);
            said = line.strip_prefix("C: ").or(line.strip_prefix("C:")).unwrap().to_owned();
            dialogue.feed(format!("{said}\r\n").as_bytes());
        }
    }
    settle(&mut dialogue, &mut expected, &said);
    dialogue
}

fn play_from_the_start(script: &str) -> Dialogue {
    play(Dialogue::new(Limits::default(), Tls::Absent), script)
}

fn play_greeted(script: &str) -> Dialogue {
    play(greeted(Limits::default()), script)
}

#[test]
fn a_message_is_handed_over_with_its_envelope() {
    let dialogue = play_from_the_start(
        "S: 220 mail-sidecar ESMTP
         C: EHLO app.example.com
         S: 250-mail-sidecar
         S: 250-PIPELINING
         S: 250-SIZE 30932992
         S: 250-8BITMIME
         S: 250-ENHANCEDSTATUSCODES
         S: 250 AUTH PLAIN LOGIN
         C: MAIL FROM:<app@Example.com> SIZE=20 BODY=8BITMIME
         S: 250 2.1.0
         C: RCPT TO:<a@example.org>
         S: 250 2.1.5
         C: RCPT TO:<b@example.org>
         S: 250 2.1.5
         C: DATA
         S: 354 Go ahead
         C: Subject: hello
         C:
         C: ..
         C: .
         S: 250 2.0.0 taken as 1
         C: QUIT
         S: 221 2.0.0",
    );
    assert!(dialogue.closed);
    let address = |text| Address::parse(text).unwrap();
    assert_eq!(
        *dialogue.rules.messages.borrow(),
        [Submitted {
            sender: Some(address("app@example.com")),
            recipients: vec![address("a@example.org"), address("b@example.org")],
            data: b"Subject: hello\r\n\r\n.\r\n".to_vec(),
            endings: super::super::Endings::default(),
            longest_line: 14,
        }]
    );
}

#[test]
fn helo_will_do_and_the_null_sender_may_send() {
    let dialogue = play_from_the_start(
        "S: 220
         C: helo app
         S: 250 mail-sidecar
         C: mail from:<>
         S: 250 2.1.0
         C: rcpt to:<a@example.org>
         S: 250 2.1.5
         C: data
         S: 354
         C: .
         S: 250 2.0.0",
    );
    assert_eq!(dialogue.rules.messages.borrow()[0].sender, None);
    assert_eq!(dialogue.rules.texts(), [""]);
    assert!(!dialogue.closed);
}

#[test]
fn commands_out_of_order_are_refused() {
    play_from_the_start(
        "S: 220
         C: MAIL FROM:<a@example.com>
         S: 503 5.5.1 Say EHLO
         C: AUTH PLAIN AGEAYg==
         S: 503 5.5.1 Say EHLO
         C: EHLO
         S: 501 5.5.4
         C: HELO app
         S: 250 mail-sidecar
         C: RCPT TO:<a@example.org>
         S: 503 5.5.1 Say MAIL
         C: DATA
         S: 503 5.5.1 Say MAIL
         C: MAIL FROM:<a@example.com>
         S: 250 2.1.0
         C: MAIL FROM:<b@example.com>
         S: 503 5.5.1 A transaction is open
         C: AUTH PLAIN AGEAYg==
         S: 503 5.5.1 Not within
         C: DATA
         S: 503 5.5.1 Say RCPT
         C: STARTTLS
         S: 502 5.5.1",
    );
}

#[test]
fn what_brings_no_message_is_answered() {
    play_greeted(
        "C: NOOP
         S: 250 2.0.0
         C: NOOP anything
         S: 250 2.0.0
         C: VRFY a@example.com
         S: 252 2.0.0
         C: EXPN list
         S: 502 5.5.1
         C: HELP
         S: 214 2.0.0
         C: HELP MAIL
         S: 214 2.0.0
         C: RSET
         S: 250 2.0.0
         C: XYZZY
         S: 500 5.5.1
         C: BODY
         S: 500 5.5.1",
    );
}

#[test]
fn rset_and_ehlo_forget_the_transaction() {
    for again in ["RSET", "HELO app"] {
        let dialogue = play_greeted(&format!(
            "C: MAIL FROM:<a@example.com>
             S: 250
             C: RCPT TO:<a@example.org>
             S: 250
             C: {again}
             S: 250
             C: DATA
             S: 503 5.5.1 Say MAIL
             C: MAIL FROM:<b@example.com>
             S: 250
             C: RCPT TO:<b@example.org>
             S: 250
             C: DATA
             S: 354
             C: .
             S: 250"
        ));
        let messages = dialogue.rules.messages.borrow();
        assert_eq!(messages[0].recipients, [Address::parse("b@example.org").unwrap()]);
    }
}

#[test]
fn the_desk_refuses_one_recipient_and_the_others_get_the_message() {
    let dialogue = play_greeted(
        "C: MAIL FROM:<a@example.com>
         S: 250
         C: RCPT TO:<no@example.org>
         S: 550 5.7.1 not to be
         C: RCPT TO:<a@example.org>
         S: 250
         C: RCPT TO:<later@example.org>
         S: 451 4.7.1 later
         C: RCPT TO:<not an address>
         S: 501 5.1.3
         C: DATA
         S: 354
         C: .
         S: 250",
    );
    assert_eq!(dialogue.rules.messages.borrow()[0].recipients.len(), 1);
}

#[test]
fn where_every_recipient_is_refused_there_is_nothing_to_send() {
    play_greeted(
        "C: MAIL FROM:<a@example.com>
         S: 250
         C: RCPT TO:<no@example.org>
         S: 550
         C: DATA
         S: 554 5.5.1
         C: RCPT TO:<a@example.org>
         S: 250
         C: DATA
         S: 354",
    );
}

#[test]
fn a_sender_that_is_refused_opens_no_transaction() {
    for (sender, code) in [
        ("<no@example.com>", "550 5.7.1"),
        ("<nobody>", "501 5.1.7"),
        ("<> SIZE=99999999", "552 5.3.4"),
    ] {
        play_greeted(&format!(
            "C: MAIL FROM:{sender}
             S: {code}
             C: RCPT TO:<a@example.org>
             S: 503 5.5.1 MAIL was refused
             C: DATA
             S: 503 5.5.1 MAIL was refused
             C: MAIL FROM:<a@example.com>
             S: 250"
        ));
    }
}

#[test]
fn a_refusal_that_does_not_refuse_refuses_for_now() {
    play_greeted(
        "C: MAIL FROM:<odd@example.com>
         S: 451 4.3.0
         C: MAIL FROM:<a@example.com>
         S: 250
         C: RCPT TO:<odd@example.org>
         S: 451 4.3.0
         C: RCPT TO:<a@example.org>
         S: 250
         C: DATA
         S: 354
         C: nonsense
         C: .
         S: 451 4.3.0",
    );
}

#[test]
fn the_desk_may_hang_up() {
    for script in [
        "C: MAIL FROM:<bye@example.com>
         S: 421 4.3.2 hanging up",
        "C: MAIL FROM:<a@example.com>
         S: 250
         C: RCPT TO:<bye@example.org>
         S: 421 4.3.2 hanging up",
        "C: MAIL FROM:<a@example.com>
         S: 250
         C: RCPT TO:<a@example.org>
         S: 250
         C: DATA
         S: 354
         C: hang up
         C: .
         S: 421 4.3.2 hanging up",
    ] {
        let mut dialogue = play_greeted(script);
        assert!(dialogue.closed || matches!(dialogue.session.feed(b""), (0, Step::Close)));
        dialogue.feed(b"NOOP\r\n");
        assert_eq!(dialogue.replies(), Vec::<String>::new());
    }
}

#[test]
fn a_message_that_is_refused_ends_its_transaction() {
    play_greeted(
        "C: MAIL FROM:<a@example.com>
         S: 250
         C: RCPT TO:<a@example.org>
         S: 250
         C: DATA
         S: 354
         C: refuse me
         C: .
         S: 554 5.6.0
         C: DATA
         S: 503 5.5.1 Say MAIL",
    );
}

#[test]
fn a_recipient_that_is_named_twice_is_asked_about_and_kept_once() {
    let dialogue = play_greeted(
        "C: MAIL FROM:<a@example.com>
         S: 250
         C: RCPT TO:<a@example.org>
         S: 250
         C: RCPT TO:<a@EXAMPLE.org>
         S: 250
         C: DATA
         S: 354
         C: .
         S: 250",
    );
    assert_eq!(dialogue.rules.messages.borrow()[0].recipients.len(), 1);
    assert_eq!(*dialogue.rules.asked.borrow(), ["a@example.com", "a@example.org"]);
}

#[test]
fn any_credentials_are_welcome_once() {
    play_greeted(
        "C: AUTH PLAIN AGEAYg==
         S: 235 2.7.0
         C: AUTH PLAIN AGEAYg==
         S: 503 5.5.1",
    );
    play_greeted(
        "C: AUTH PLAIN
         S: 334 
         C: AGEAYg==
         S: 235 2.7.0",
    );
    play_greeted(
        "C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: YQ==
         S: 334 UGFzc3dvcmQ6
         C: Yg==
         S: 235 2.7.0",
    );
    play_greeted(
        "C: AUTH LOGIN YQ==
         S: 334 UGFzc3dvcmQ6
         C: Yg==
         S: 235 2.7.0",
    );
}

#[test]
fn an_authentication_that_fails_leaves_a_session_that_goes_on() {
    play_greeted(
        "C: AUTH PLAIN
         S: 334
         C: *
         S: 501 5.7.0
         C: AUTH LOGIN
         S: 334
         C: not base64
         S: 501 5.5.2
         C: AUTH GSSAPI
         S: 504 5.5.4
         C: AUTH
         S: 501 5.5.4
         C: AUTH PLAIN AGEAYg==
         S: 235",
    );
    play_greeted(&format!(
        "C: AUTH PLAIN
         S: 334
         C: {}
         S: 500 5.5.6
         C: NOOP
         S: 250",
        "x".repeat(12_287)
    ));
}

#[test]
fn an_answer_to_a_challenge_is_never_a_command() {
    play_greeted(
        "C: AUTH LOGIN
         S: 334
         C: QUIT
         S: 334
         C: RSET
         S: 235",
    );
}

#[test]
fn starttls_is_offered_where_it_can_be_had_and_not_twice() {
    let mut dialogue = Dialogue::new(Limits::default(), Tls::Offered);
    dialogue.feed(b"EHLO app\r\n");
    assert_eq!(dialogue.replies().last().unwrap(), "250 STARTTLS");
    dialogue.feed(b"STARTTLS now\r\n");
    assert_eq!(dialogue.codes(), ["501"]);
    dialogue.feed(b"STARTTLS\r\n");
    assert_eq!(dialogue.codes(), ["220"]);
    dialogue.session.secured();
    dialogue.feed(b"MAIL FROM:<a@example.com>\r\n");
    assert_eq!(dialogue.codes(), ["503"], "what was said before counts for nothing");
    dialogue.feed(b"EHLO app\r\n");
    assert_eq!(dialogue.replies().last().unwrap(), "250 AUTH PLAIN LOGIN");
    dialogue.feed(b"STARTTLS\r\n");
    assert_eq!(dialogue.codes(), ["503"]);
}

#[test]
fn what_was_sent_in_plain_text_after_starttls_is_forgotten() {
    let injected =
        b"EHLO app\r\nMAIL FROM:<a@example.com>\r\nSTARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.com>\r\nRCPT";
    for size in [1, 7, injected.len()] {
        let mut dialogue = Dialogue::new(Limits::default(), Tls::Offered);
        dialogue.said.clear();
        for chunk in injected.chunks(size) {
            dialogue.feed(chunk);
        }
        assert_eq!(dialogue.codes(), ["250", "250", "220"]);
        dialogue.session.secured();
        dialogue.feed(b" TO:<a@example.org>\r\nRCPT TO:<a@example.org>\r\n");
        assert_eq!(dialogue.codes(), ["500", "503"]);
        assert_eq!(*dialogue.rules.asked.borrow(), ["a@example.com"]);
    }
}

#[test]
fn two_messages_may_come_at_once() {
    let mut dialogue = greeted(Limits::default());
    dialogue.feed(
        b"MAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\none\r\n.\r\n\
          MAIL FROM:<b@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\ntwo\r\n.\r\nQUIT\r\nNOOP\r\n",
    );
    assert_eq!(
        dialogue.codes(),
        ["250", "250", "354", "250", "250", "250", "354", "250", "221"]
    );
    assert_eq!(dialogue.rules.texts(), ["one\r\n", "two\r\n"]);
}

#[test]
fn what_follows_data_is_text_and_not_commands() {
    let mut dialogue = greeted(Limits::default());
    dialogue.feed(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\nRSET\r\nQUIT\r\n.\r\nNOOP\r\n");
    assert_eq!(dialogue.codes(), ["250", "250", "354", "250", "250"]);
    assert_eq!(dialogue.rules.texts(), ["RSET\r\nQUIT\r\n"]);
}

#[test]
fn a_message_that_follows_a_refused_data_is_not_taken_for_commands() {
    let mut dialogue = greeted(Limits::default());
    dialogue.feed(
        b"MAIL FROM:<no@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\nSubject: x\r\n\r\n\
          MAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n.\r\n",
    );
    assert_eq!(dialogue.codes(), ["550", "503", "503", "500"]);
    assert!(dialogue.closed);
    assert_eq!(*dialogue.rules.asked.borrow(), ["no@example.com"]);
}

#[test]
fn rset_amid_a_pipeline_forgets_what_came_before_it_only() {
    let mut dialogue = greeted(Limits::default());
    dialogue.feed(
        b"MAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nRSET\r\n\
          MAIL FROM:<b@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nx\r\n.\r\n",
    );
    assert_eq!(dialogue.codes(), ["250", "250", "250", "250", "250", "354", "250"]);
    let messages = dialogue.rules.messages.borrow();
    assert_eq!(messages[0].sender, Address::parse("b@example.com").ok());
    assert_eq!(messages[0].recipients, [Address::parse("b@example.org").unwrap()]);
}

#[test]
fn ten_thousand_recipients_at_once_are_a_thousand_and_refusals() {
    let mut dialogue = greeted(Limits::default());
    let recipients = recipients(10_000);
    let script = format!("MAIL FROM:<a@example.com>\r\n{recipients}DATA\r\nx\r\n.\r\nNOOP\r\n");
    dialogue.feed(script.as_bytes());
    let codes = dialogue.codes();
    assert_eq!(codes.len(), 10_004);
    assert!(codes[..1001].iter().all(|code| code == "250"));
    assert!(codes[1001..10_001].iter().all(|code| code == "452"));
    assert_eq!(codes[10_001..], ["354", "250", "250"]);
    assert_eq!(dialogue.rules.messages.borrow()[0].recipients.len(), 1000);
    assert_eq!(dialogue.rules.asked.borrow().len(), 1001);
}

#[test]
fn a_command_line_that_does_not_end_with_crlf_ends_the_session() {
    for line in [
        "NOOP\n",
        "NOOP\r",
        "NO\0OP\r\n",
        "NOOP\r\r\n",
        "MAIL FROM:<a@example.com>\nRCPT TO:<a@example.org>\r\n",
        "MAIL FROM:<a@example.com>\rRCPT TO:<a@example.org>\r\n",
        "MAIL FROM:<a@example.com> SIZE=1\nRCPT TO:<a@example.org>\r\n",
    ] {
        let mut dialogue = greeted(Limits::default());
        dialogue.feed(line.as_bytes());
        // A CR alone may still become a CRLF.
        dialogue.feed(b"QUIT\r\n");
        assert_eq!(dialogue.codes(), ["500"], "{line:?}");
        assert!(dialogue.closed, "{line:?}");
        assert!(dialogue.rules.asked.borrow().is_empty(), "{line:?}");
    }
}

#[test]
fn the_rest_of_a_line_that_is_too_long_is_no_command() {
    let mut dialogue = greeted(Limits::default());
    let line = format!("NOOP {}MAIL FROM:<a@example.com>\r\nNOOP\r\n", "x".repeat(507));
    dialogue.feed(line.as_bytes());
    assert_eq!(dialogue.replies()[0], "500 5.5.2 The line is too long");
    assert!(dialogue.rules.asked.borrow().is_empty());
    assert!(!dialogue.closed);
}

#[test]
fn after_twenty_errors_the_next_one_ends_the_session() {
    let mut dialogue = greeted(Limits::default());
    for _ in 0..20 {
        dialogue.feed(b"XYZZY\r\nNOOP\r\n");
        assert_eq!(dialogue.codes(), ["500", "250"]);
    }
    dialogue.feed(b"XYZZY\r\nNOOP\r\n");
    assert_eq!(dialogue.codes(), ["421"]);
    assert!(dialogue.closed);
}

#[test]
fn a_message_makes_up_for_errors_and_a_bad_address_is_none() {
    let mut dialogue = greeted(Limits::default());
    for _ in 0..10 {
        dialogue.feed(&b"XYZZY\r\n".repeat(10));
        dialogue.feed(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n.\r\n");
    }
    dialogue.feed(b"MAIL FROM:<a@example.com>\r\n");
    dialogue.feed(&b"RCPT TO:<\"quoted\"@example.org>\r\n".repeat(100));
    dialogue.said.clear();
    dialogue.feed(b"NOOP\r\n");
    assert_eq!(dialogue.codes(), ["250"]);
}

#[test]
fn what_was_sent_along_with_a_refused_mail_is_no_error() {
    let mut dialogue = greeted(Limits::default());
    for _ in 0..50 {
        dialogue.feed(b"MAIL FROM:<later@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\nRSET\r\n");
        assert_eq!(dialogue.codes(), ["451", "503", "503", "250"]);
    }
}

#[test]
fn a_hundred_commands_without_a_message_are_enough() {
    let mut dialogue = greeted(Limits::default());
    // EHLO was the first.
    dialogue.feed(&b"NOOP\r\n".repeat(99));
    assert!(dialogue.codes().iter().all(|code| code == "250"));
    dialogue.feed(b"NOOP\r\n");
    assert_eq!(dialogue.codes(), ["421"]);
    assert!(dialogue.closed);
}

#[test]
fn a_message_makes_up_for_commands_that_bring_none() {
    let mut dialogue = greeted(Limits::default());
    for _ in 0..300 {
        dialogue.feed(b"RSET\r\nNOOP\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n.\r\n");
        assert_eq!(dialogue.codes(), ["250", "250", "250", "250", "354", "250"]);
    }
}

#[test]
fn a_message_over_the_size_is_read_to_its_end_and_refused() {
    let limits = Limits {
        message: 100,
        ..Limits::default()
    };
    let mut dialogue = greeted(limits);
    dialogue.feed(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n");
    dialogue.feed(&b"MAIL FROM:<b@example.com>\r\n".repeat(100));
    dialogue.feed(b".\r\nNOOP\r\n");
    assert_eq!(dialogue.codes(), ["250", "250", "354", "552", "250"]);
    assert!(dialogue.rules.messages.borrow().is_empty());
}

#[test]
fn where_no_memory_is_free_a_message_is_refused_for_now() {
    let limits = Limits {
        buffered: 10_000,
        ..Limits::default()
    };
    let mut dialogue = greeted(limits);
    let mail =
        |parameters: &str| format!("MAIL FROM:<a@example.com>{parameters}\r\nRCPT TO:<a@example.org>\r\nDATA\r\n");
    // Announced: before 354.
    dialogue.feed(mail(" SIZE=20000").as_bytes());
    assert_eq!(dialogue.codes(), ["250", "250", "452"]);
    // Not announced: after it was read.
    dialogue.feed(format!("RSET\r\n{}", mail("")).as_bytes());
    dialogue.feed(&b"0123456789\r\n".repeat(2000));
    dialogue.feed(b".\r\n");
    assert_eq!(dialogue.codes(), ["250", "250", "250", "354", "452"]);
    assert_eq!(dialogue.session.memory.free(), 10_000);
    // And one that fits is taken.
    dialogue.feed(format!("{}x\r\n.\r\n", mail("")).as_bytes());
    assert_eq!(dialogue.codes(), ["250", "250", "354", "250"]);
    assert_eq!(dialogue.session.memory.free(), 10_000);
}

#[test]
fn recipients_take_memory_too() {
    let limits = Limits {
        buffered: 1000,
        ..Limits::default()
    };
    let mut dialogue = greeted(limits);
    dialogue.feed(b"MAIL FROM:<a@example.com>\r\n");
    for number in 0..10 {
        dialogue.feed(format!("RCPT TO:<r{number}@example.org>\r\n").as_bytes());
    }
    let codes = dialogue.codes();
    assert_eq!((codes[1].as_str(), codes[10].as_str()), ("250", "452"));
    dialogue.feed(b"RSET\r\n");
    assert_eq!(dialogue.session.memory.free(), 1000);
}

#[test]
fn a_message_holds_its_memory_until_it_is_answered() {
    let mut session = Session::new(Limits::default(), Tls::Absent, Memory::new(100_000));
    let ask = |session: &mut Session, input: &[u8]| {
        let (taken, step) = session.feed(input);
        assert_eq!(taken, input.len());
        step
    };
    ask(&mut session, b"HELO app\r\n");
    ask(&mut session, b"MAIL FROM:<>\r\n");
    session.judged(Ok(()));
    ask(&mut session, b"RCPT TO:<a@example.org>\r\n");
    session.judged(Ok(()));
    let step = ask(
        &mut session,
        &[b"DATA\r\n".to_vec(), b"x\r\n".repeat(1000), b".\r\n".to_vec()].concat(),
    );
    assert!(matches!(step, Step::Ask(Question::Message(_))));
    drop(step);
    assert!(session.memory.free() < 100_000 - 3000);
    session.taken(Reply::new(250, (2, 0, 0), "taken"));
    assert_eq!(session.memory.free(), 100_000);
}

#[test]
fn a_session_that_is_fed_while_a_question_is_open_ends() {
    let mut session = Session::new(Limits::default(), Tls::Absent, Memory::new(1000));
    assert!(matches!(session.feed(b"HELO app\r\nMAIL FROM:<>\r\n").1, Step::Ask(_)));
    assert!(matches!(session.feed(b"NOOP\r\n"), (6, Step::Close)));
    session.judged(Ok(()));
    assert!(matches!(session.feed(b"NOOP\r\n"), (6, Step::Close)));
    assert!(session.output().ends_with(b"421 4.3.0 Internal error; closing\r\n"));
}

#[test]
fn an_answer_to_no_question_changes_nothing() {
    let mut dialogue = greeted(Limits::default());
    dialogue.session.judged(Ok(()));
    dialogue.session.taken(Reply::new(250, (2, 0, 0), "taken"));
    dialogue.session.secured();
    dialogue.feed(b"RCPT TO:<a@example.org>\r\n");
    assert_eq!(dialogue.replies(), ["503 5.5.1 Say MAIL first"]);
}

#[test]
fn a_session_that_drains_finishes_its_message_and_begins_none() {
    let mut dialogue = greeted(Limits::default());
    dialogue.feed(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\nx\r\n");
    dialogue.session.drain();
    dialogue.feed(b"y\r\n.\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\nx\r\n.\r\n");
    assert_eq!(dialogue.codes(), ["250", "250", "354", "250", "421"]);
    assert!(dialogue.closed);
    assert_eq!(dialogue.rules.texts(), ["x\r\ny\r\n"]);
}

#[test]
fn a_session_that_drains_lets_its_client_quit() {
    let mut dialogue = greeted(Limits::default());
    dialogue.session.drain();
    dialogue.feed(b"QUIT\r\n");
    assert_eq!(dialogue.codes(), ["221"]);
}

#[test]
fn a_session_that_is_closed_forgets_a_text_that_has_not_ended() {
    let mut dialogue = greeted(Limits::default());
    dialogue.feed(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\nx\r\n");
    dialogue.session.close(&Reply::new(421, (4, 4, 2), "too slow"));
    dialogue.feed(b".\r\n");
    assert_eq!(dialogue.codes(), ["250", "250", "354", "421"]);
    assert!(dialogue.rules.messages.borrow().is_empty());
    let Dialogue { session, .. } = dialogue;
    let memory = session.memory.clone();
    assert_eq!(memory.free(), Limits::default().buffered);
}

fn recipients(number: usize) -> String {
    let commands: Vec<String> = (0..number)
        .map(|number| format!("RCPT TO:<r{number}@example.org>\r\n"))
        .collect();
    commands.concat()
}

/// What a client may send, whole or in part, in any order.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let fixed =
        |texts: &'static [&'static str]| proptest::sample::select(texts).prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![
        4 => fixed(&[
            "EHLO app\r\n", "HELO app\r\n", "MAIL FROM:<a@example.com>\r\n", "MAIL FROM:<>\r\n", "MAIL FROM:<no@example.com>\r\n",
            "RCPT TO:<a@example.org>\r\n", "RCPT TO:<b@example.org>\r\n", "RCPT TO:<no@example.org>\r\n", "DATA\r\n", "DATA \r\n",
            "RSET\r\n", "NOOP\r\n", "QUIT\r\n", "STARTTLS\r\n", "AUTH PLAIN\r\n", "AUTH LOGIN\r\n", "AUTH PLAIN AGEAYg==\r\n",
            "AGEAYg==\r\n", "*\r\n", "VRFY a\r\n", "XYZZY\r\n",
        ]),
        3 => fixed(&[
            "MAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n", ".\r\n", "\r\n.\r\n", "x\r\n.\r\n",
            "MAIL FROM:<a@example.com> SIZE=10\r\nRCPT TO:<a@example.org>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n",
        ]),
        1 => fixed(&["\r", "\n", ".", "\0", "\r\n", "\n.\n", "\r.\r\n", "\r\n.\r\r\n", "\r\n.\n", "Subject: x\r\n", "GET / HTTP/1.1\r\n"]),
        1 => proptest::collection::vec(any::<u8>(), 0..30),
        1 => (400_usize..700).prop_map(|length| vec![b'x'; length]),
    ]
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    (any::<bool>(), proptest::collection::vec(fragment(), 0..30)).prop_map(|(greeted, fragments)| {
        let start = if greeted { b"EHLO app\r\n".to_vec() } else { Vec::new() };
        [start, fragments.concat()].concat()
    })
}

/// Small enough that every limit is met now and then.
fn narrow() -> Limits {
    Limits {
        message: 200,
        recipients: 3,
        errors: 5,
        idle_commands: 10,
        auth_line: 600,
        ..Limits::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_session_is_the_same_in_any_chunks(input in input(), sizes in proptest::collection::vec(1_usize..50, 1..100)) {
        let mut whole = Dialogue::new(narrow(), Tls::Offered);
        whole.feed(&input);
        let mut singly = Dialogue::new(narrow(), Tls::Offered);
        for byte in input.chunks(1) {
            singly.feed(byte);
        }
        let mut chunked = Dialogue::new(narrow(), Tls::Offered);
        let mut rest = input.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, next) = rest.split_at((*size).min(rest.len()));
            chunked.feed(chunk);
            rest = next;
        }
        for other in [&singly, &chunked] {
            prop_assert_eq!(&other.said, &whole.said);
            prop_assert_eq!(&other.rules.messages, &whole.rules.messages);
            prop_assert_eq!(&other.rules.asked, &whole.rules.asked);
            prop_assert_eq!(other.closed, whole.closed);
            prop_assert_eq!(&other.ends, &whole.ends);
        }
    }

    #[test]
    fn a_message_is_handed_over_only_where_crlf_dot_crlf_ended_it(input in input()) {
        let mut dialogue = Dialogue::new(narrow(), Tls::Absent);
        dialogue.feed(&input);
        for end in &dialogue.ends {
            prop_assert!(input[..*end].ends_with(b"\r\n.\r\n"));
        }
        let asked = dialogue.rules.asked.borrow();
        for message in dialogue.rules.messages.borrow().iter() {
            prop_assert!(!message.recipients.is_empty() && message.recipients.len() <= 3);
            prop_assert!(message.data.len() <= 200);
            prop_assert!(message.data.is_empty() || message.data.ends_with(b"\r\n"));
            for recipient in &message.recipients {
                prop_assert!(asked.contains(&recipient.to_string()));
                prop_assert!(recipient.local() != "no");
            }
        }
    }

    #[test]
    fn any_bytes_at_all_bring_replies_and_nothing_worse(input in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut dialogue = Dialogue::new(narrow(), Tls::Offered);
        dialogue.feed(&input);
        for reply in dialogue.replies() {
            prop_assert!(reply.len() + 2 <= 512);
            prop_assert!(reply.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
        prop_assert!(dialogue.rules.messages.borrow().is_empty());
        let memory = dialogue.session.memory.clone();
        drop(dialogue);
        prop_assert_eq!(memory.free(), narrow().buffered);
    }
}
