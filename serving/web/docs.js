// The API's documentation: Swagger UI, which reads the OpenAPI document and can send each call.

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

SwaggerUIBundle({
  url: "docs.json",
  dom_id: "#api",
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  requestInterceptor: (request) => {
    request.headers["X-Requested-With"] = "actreel"; // as in key.js: no other site's page can send it
    return request;
  },
});
