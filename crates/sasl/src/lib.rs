//! SASL mechanisms as challenge/response machines.
