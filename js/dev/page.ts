import explorer from "../src/explorers/image.js";
import "../src/explorers/image.css";
import { FakeKernel } from "./fake_kernel.js";

const { signal } = new AbortController();
const kernel = new FakeKernel();
const widget = explorer();
widget.initialize({ model: kernel.model, signal });
const el = document.getElementById("widget");
if (el !== null) widget.render({ model: kernel.model, el, signal });
if (location.hash === "#dark") document.body.classList.add("dark");
kernel.answer();
