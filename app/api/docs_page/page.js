// Shows the description of this gateway; requests go to this gateway alone.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#description",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  // The validator badge would send the description to a stranger.
  validatorUrl: null,
});
