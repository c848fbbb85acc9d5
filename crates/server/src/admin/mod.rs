//! Administration: one set of operations with one meaning, whoever asks.
//!
//! An [`Operation`] is performed on the store by [`perform`] and gives an [`Answer`]. The command line sends it
//! to the running server through the [`socket`], or performs it itself when none is running.

mod answer;
pub(crate) mod certificate;
mod operation;
mod perform;
pub(crate) mod restore;
mod shaping;
pub(crate) mod socket;
pub(crate) mod stream;
pub(crate) mod time;
pub(crate) mod zone;

pub(crate) use answer::{Answer, Story};
pub(crate) use operation::{
    BanOrder, CertificateOrder, CollectOrder, CollectSecret, CollectWish, DkimOrder, GreylistOrder, Keyed, KeyedOrder,
    LabelsOrder, ListWish, LoginWish, MtaStsOrder, OauthOrder, Operation, Order, PasskeysOrder, PolicyOrder,
    ReportOrder, RouteWish, SecondStepOrder, Seen, SeenPassword, Selection, SendingWish,
};
pub(crate) use perform::perform;
pub(crate) use shaping::ShapingOrder;
