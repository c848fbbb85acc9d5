//! Mail coming in: policy by stage, checks, delivery.
