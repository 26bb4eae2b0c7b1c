//! The messages between an observer and its reader.

use super::{assert_comes_back, assert_harmless};
use crate::{
    capture::{Decoder, Frame as Captured, show::Lines},
    observer::{
        protocol::{Frame, Message, Request, Task, decode_blocks, encode_json, encode_packet, read_frame},
        render,
    },
};

/// Reads the bytes as a stream of frames, as either end does.
pub fn observer(bytes: &[u8]) {
    let mut input = bytes;
    let (mut decoder, mut lines) = (Decoder::new(), Lines::default());
    while let Ok(Some(frame)) = read_frame(&mut input) {
        if let Some((_, json)) = frame.split_first() {
            assert_comes_back::<Request>(json);
            assert_comes_back::<Task>(json);
        }
        if let Some((_, blocks)) = decode_blocks(&frame) {
            assert!(frame.ends_with(blocks));
        }
        match Frame::decode(&frame) {
            Ok(Frame::Packet(packet)) => {
                let mut again = Vec::new();
                encode_packet(packet.segment, packet.at, packet.original_len, &packet.data, &mut again);
                assert_eq!(again[4..], frame[..]);
                let captured = Captured::from(&packet);
                let line = match decoder.segment(&captured) {
                    Some(segment) => lines.segment(&segment),
                    None => lines.frame(&captured),
                };
                assert_harmless(&line);
            }
            Ok(Frame::Message(message)) => said(&message),
            // May quote what came; whoever prints it escapes it.
            Err(error) => drop(error.with_causes()),
        }
    }
}

fn said(message: &Message) {
    let mut frame = Vec::new();
    encode_json(message, &mut frame);
    let back = read_frame(&mut frame.as_slice()).expect("a frame of our own");
    assert_comes_back::<Message>(&back.expect("a frame")[1..]).expect("a message of our own");
    match message {
        Message::Processes { rows, .. } => assert_harmless(&render::ps(rows)),
        Message::Sockets { rows, .. } => {
            assert_harmless(&render::netstat_tn(rows));
            assert_harmless(&render::netstat_putan(rows, &[]));
        }
        _ => {}
    }
}
