//! How messages become bytes: requests by prost, pages of events straight from the records.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::count::Counted;
use super::outgoing::EventsMessage;
use crate::memory::Share;

/// A message of the server.
pub(crate) trait Outbound: Send + 'static {
    /// Writes the message.
    fn put(self, out: &mut EncodeBuf<'_>) -> io::Result<()>;
}

/// A message that prost encodes.
#[derive(Debug)]
pub(crate) struct Plain<M>(pub(crate) M);

impl<M: Message + 'static> Outbound for Plain<M> {
    fn put(self, out: &mut EncodeBuf<'_>) -> io::Result<()> {
        self.0.encode(out).map_err(io::Error::other)
    }
}

impl Outbound for EventsMessage {
    fn put(self, out: &mut EncodeBuf<'_>) -> io::Result<()> {
        out.reserve(self.size_hint());
        self.write(out);
        debug_assert!(out.has_remaining_mut());
        Ok(())
    }
}

/// The codec of a call: requests `In`, responses `Out`.
#[derive(Debug)]
pub(crate) struct Wire<In, Out> {
    /// The memory that the request has taken.
    share: Arc<Share>,
    messages: PhantomData<fn() -> (In, Out)>,
}

impl<In, Out> Wire<In, Out> {
    pub(crate) fn new(share: Arc<Share>) -> Self {
        Self { share, messages: PhantomData }
    }
}

impl<In: Counted + Default + 'static, Out: Outbound> Codec for Wire<In, Out> {
    type Encode = Out;
    type Decode = In;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::new(Arc::default())
    }

    fn decoder(&mut self) -> Self {
        Self::new(Arc::clone(&self.share))
    }
}

/// The bytes that are gathered before they are sent. Pages are large, so few pieces are better than many.
const BUFFER: usize = 256 << 10;

impl<In, Out: Outbound> Encoder for Wire<In, Out> {
    type Item = Out;
    type Error = Status;

    fn encode(&mut self, item: Out, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.put(out).map_err(|error| Status::internal(format!("cannot encode: {error}")))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(8 << 10, BUFFER)
    }
}

impl<In: Counted + Default, Out> Decoder for Wire<In, Out> {
    type Item = In;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<In>, Status> {
        // The whole message is in one piece.
        debug_assert_eq!(from.chunk().len(), from.remaining());
        // Before it is decoded: a message may wait for the end of its request, which its client decides.
        self.share.take_parts(In::count(from.chunk())?)?;
        let message = In::decode(from);
        message
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("not a valid message: {error}")))
    }
}
