import image from "../src/explorers/image.js";
import table from "../src/explorers/table.js";
import "../src/explorers/image.css";
import "../src/table/table.css";
import { FakeKernel } from "./fake_kernel.js";

// #dark, #table, #table-dark
const { signal } = new AbortController();
const isTable = location.hash.startsWith("#table");
const kernel = new FakeKernel(isTable);
const widget = (isTable ? table : image)();
widget.initialize({ model: kernel.model, signal });
const el = document.getElementById("widget");
if (el !== null) widget.render({ model: kernel.model, el, signal });
if (location.hash.endsWith("dark")) document.body.classList.add("dark");
kernel.answer();
