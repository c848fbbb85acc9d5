//! QR codes as drawings (ISO/IEC 18004).

use std::fmt::Write;

use qrcode::{Color, EcLevel, QrCode};

/// A QR code, dark on light also where the page is dark: many readers take no other. `label`: HTML for those who do not see it.
pub(crate) fn svg(text: &str, label: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let colors = code.to_colors();
    let mut path = String::new();
    for (y, line) in colors.chunks(width).enumerate() {
        let mut x = 0;
        while x < width {
            let run = line[x..].iter().take_while(|color| **color == Color::Dark).count();
            if run > 0 {
                let _ = write!(path, "M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
            }
            x += run.max(1);
        }
    }
    let side = width + 2 * QUIET;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"{0}\" height=\"{0}\" role=\"img\" \
         aria-label=\"{label}\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/>\
         <path fill=\"#000\" d=\"{path}\"/></svg>",
        side * 5
    ))
}

/// ISO/IEC 18004: four modules of nothing around it.
const QUIET: usize = 4;

#[cfg(test)]
mod tests {
    use super::svg;

    #[test]
    fn a_code_is_drawn_whole() {
        let drawn = svg("https://mail.example.test/setup/mail.mobileconfig?address=u%40example.test", "a code")
            .expect("a code");
        // The finder in the corner: seven dark modules.
        assert!(drawn.contains("d=\"M4 4h7v1h-7z"), "{drawn}");
        assert_eq!(svg(&"x".repeat(10_000), ""), None);
    }
}
