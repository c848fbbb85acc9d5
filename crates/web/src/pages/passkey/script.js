"use strict";
// Forms that ask a passkey are shown where the browser knows what that is, and sent once it has answered.
(() => {
  if (!window.PublicKeyCredential || !navigator.credentials) return;
  const octets = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(Array.from(new Uint8Array(buffer), (octet) => String.fromCharCode(octet)).join(""))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (ids) => ids.map((id) => ({ type: "public-key", id: octets(id) }));

  const make = async (asked) => {
    const made = await navigator.credentials.create({
      publicKey: {
        challenge: octets(asked.challenge),
        rp: { id: asked.party, name: asked.party },
        user: { id: octets(asked.handle), name: asked.login, displayName: asked.login },
        pubKeyCredParams: asked.algorithms.map((alg) => ({ type: "public-key", alg })),
        excludeCredentials: named(asked.known),
        authenticatorSelection: { residentKey: "preferred", userVerification: "preferred" },
        attestation: "none",
        timeout: 300000,
      },
    });
    return { client_data: made.response.clientDataJSON, attestation: made.response.attestationObject };
  };

  const show = async (asked) => {
    const shown = await navigator.credentials.get({
      publicKey: {
        challenge: octets(asked.challenge),
        rpId: asked.party,
        allowCredentials: named(asked.known),
        userVerification: asked.verified ? "required" : "preferred",
        timeout: 300000,
      },
    });
    const answer = shown.response;
    return {
      credential: shown.rawId,
      client_data: answer.clientDataJSON,
      data: answer.authenticatorData,
      signature: answer.signature,
      handle: answer.userHandle,
    };
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const wrong = form.querySelector("[role=alert]");
      wrong.hidden = true;
      try {
        const asked = JSON.parse(form.dataset.asked);
        const answer = await (form.dataset.passkey === "make" ? make(asked) : show(asked));
        for (const [name, value] of Object.entries(answer)) {
          if (value) form.elements.namedItem(name).value = text(value);
        }
        form.submit();
      } catch (error) {
        wrong.textContent = form.dataset.wrong + " (" + error.name + ")";
        wrong.hidden = false;
      }
    });
  }
})();
