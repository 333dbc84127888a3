// Shows the OpenAPI documents of this server, one at a time. validatorUrl is off: nothing may be fetched from elsewhere.
window.addEventListener("load", async function () {
  const documents = await (await fetch("/docs/documents.json")).json();
  const asked = new URLSearchParams(window.location.search).get("api");
  const shown = documents.find((d) => d.name === asked) || documents[0];
  const list = document.getElementById("documents");
  for (const d of documents) {
    const link = document.createElement("a");
    link.href = "?api=" + encodeURIComponent(d.name);
    link.textContent = d.title;
    if (d === shown) link.setAttribute("aria-current", "page");
    list.append(link, " ");
  }
  window.ui = SwaggerUIBundle({
    url: shown.url,
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null,
    persistAuthorization: false,
    docExpansion: "list",
  });
});
