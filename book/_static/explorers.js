// Moves what sadefect/figures/explorers/slider.py wrote into a page, and enlarges figures. A classic script without
// requests, so that it works from the file system. Numbers come with the page; this only paints.
(function () {
  "use strict";

  function bytes(base64) {
    const text = atob(base64);
    const found = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) found[i] = text.charCodeAt(i);
    return found;
  }

  function loaded(uri) {
    return new Promise(function (resolve) {
      const image = new Image();
      image.onload = function () { resolve(image); };
      image.src = uri;
    });
  }

  function colour(hex) {
    return [1, 3, 5].map(function (at) { return parseInt(hex.slice(at, at + 2), 16); });
  }

  function say(element, value, text) {
    const readout = element.querySelector("[data-readout]");
    const strong = document.createElement("b");
    strong.textContent = value;
    readout.replaceChildren(strong, text ? ": " + text : "");
    element.querySelector("input[type=range]").setAttribute("aria-valuetext", text ? value + ": " + text : value);
  }

  // A canvas in the place of a picture, of the same size and with the same words.
  function canvasFor(image, width, height) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", image.alt);
    canvas.setAttribute("data-picture", "");
    image.replaceWith(canvas);
    return canvas;
  }

  const kinds = {
    steps: function (element, data) {
      const image = element.querySelector("[data-picture]");
      return function (at) {
        image.src = data.pictures[at];
        say(element, data.values[at], data.texts[at]);
      };
    },

    comparison: function (element, data) {
      const image = element.querySelector("[data-picture]");
      let canvas = null, both = null, wanted = 0;
      function draw() {
        if (!both) return;
        const context = canvas.getContext("2d");
        const seam = Math.round(canvas.width * data.seams[wanted]);
        context.drawImage(both[1], 0, 0);
        if (seam > 0) {
          context.drawImage(both[0], 0, 0, seam, canvas.height, 0, 0, seam, canvas.height);
        }
        context.fillStyle = data.colour;
        context.fillRect(seam - 1, 0, 2, canvas.height);
      }
      Promise.all([loaded(data.before), loaded(data.after)]).then(function (found) {
        both = found;
        canvas = canvasFor(image, both[0].naturalWidth, both[0].naturalHeight);
        draw();
      });
      return function (at) {
        wanted = at;
        draw();
        say(element, data.values[at], data.texts[at]);
      };
    },

    threshold: function (element, data) {
      const slider = element.querySelector("input[type=range]");
      const svg = element.querySelector("svg");
      const height = data.shape[0], width = data.shape[1];
      const packed = bytes(data.mask);
      const mask = new Uint8Array(width * height);
      for (let i = 0; i < mask.length; i++) mask[i] = (packed[i >> 3] >> (7 - (i & 7))) & 1;
      const methods = {};
      Object.keys(data.methods).forEach(function (name) {
        methods[name] = Object.assign({}, data.methods[name]);
        methods[name].levels = bytes(data.methods[name].levels);
      });
      const hit = colour(data.colours.hit), falseAlarm = colour(data.colours.false_alarm);
      const truth = colour(data.colours.truth), opacity = Math.round(255 * data.paint);
      let name = data.first, at = methods[name].start, background = null, canvas = null;
      const layer = document.createElement("canvas");
      layer.width = width;
      layer.height = height;

      function outline(i) {
        if (mask[i]) return false;
        const column = i % width;
        return (column > 0 && mask[i - 1]) || (column < width - 1 && mask[i + 1]) ||
          (i >= width && mask[i - width]) || (i < mask.length - width && mask[i + width]);
      }

      function paint() {
        if (!background) return;
        const levels = methods[name].levels;
        const context = layer.getContext("2d");
        const pixels = context.createImageData(width, height);
        let hits = 0, alarms = 0;
        for (let i = 0; i < mask.length; i++) {
          const flagged = levels[i] > at;
          if (flagged) { if (mask[i]) hits++; else alarms++; }
          const rim = outline(i);
          if (!flagged && !rim) continue;
          const paint = rim ? truth : mask[i] ? hit : falseAlarm;
          pixels.data.set([paint[0], paint[1], paint[2], rim ? 255 : opacity], 4 * i);
        }
        context.putImageData(pixels, 0, 0);
        const onto = canvas.getContext("2d");
        onto.drawImage(background, 0, 0);
        onto.drawImage(layer, 0, 0);
        // What was painted, for whoever holds it against the numbers.
        canvas.setAttribute("data-painted", hits + " " + alarms);
      }

      function mark(kind, position) {
        const circle = svg.querySelector("[data-" + kind + "]");
        const size = +svg.dataset.size;
        const hidden = position === null;
        const one = methods[name];
        circle.setAttribute("cx", hidden ? -20 : +svg.dataset.left + size * one.fpr[position]);
        circle.setAttribute("cy", hidden ? -20 : +svg.dataset.top + size * (1 - one.tpr[position]));
      }

      function show(position) {
        at = position;
        paint();
        mark("marker", at);
        say(element, methods[name].values[at], methods[name].texts[at]);
      }

      // The position whose false positive rate is nearest to the pointer.
      function under(event) {
        const box = svg.getBoundingClientRect();
        const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
        const fpr = (x - svg.dataset.left) / svg.dataset.size;
        let best = 0;
        methods[name].fpr.forEach(function (one, i, all) {
          if (Math.abs(one - fpr) < Math.abs(all[best] - fpr)) best = i;
        });
        return best;
      }

      svg.addEventListener("pointermove", function (event) {
        const here = under(event);
        mark("hover", here);
        say(element, methods[name].values[here], methods[name].texts[here]);
      });
      svg.addEventListener("pointerleave", function () {
        mark("hover", null);
        say(element, methods[name].values[at], methods[name].texts[at]);
      });
      svg.addEventListener("click", function (event) {
        slider.value = under(event);
        show(+slider.value);
      });
      element.querySelectorAll("input[type=radio]").forEach(function (radio) {
        radio.addEventListener("change", function () {
          name = radio.value;
          slider.value = methods[name].start;
          show(+slider.value);
        });
      });
      loaded(data.image).then(function (image) {
        background = image;
        canvas = canvasFor(element.querySelector("img[data-picture]"), width, height);
        paint();
      });
      return show;
    },
  };

  function start(element) {
    const data = JSON.parse(element.querySelector("script[type='application/json']").textContent);
    const slider = element.querySelector("input[type=range]");
    const checked = element.querySelector("input[type=radio][value='" + data.first + "']");
    if (checked) checked.checked = true; // Browsers keep the last one over a reload.
    slider.value = slider.defaultValue;
    const show = kinds[data.kind](element, data);
    slider.addEventListener("input", function () { show(+slider.value); });
    show(+slider.value);
    const controls = element.querySelector(".explorer-controls");
    controls.append(enlarger(function () {
      const picture = element.querySelector("[data-picture]");
      if (picture.tagName === "IMG") enlarge(picture.src, picture.alt);
      else enlarge(picture.toDataURL(), picture.getAttribute("aria-label"));
    }));
    controls.hidden = false;
  }

  // Figures: a button below each opens it as large as it is, with zoom and arrows.

  function enlarge(source, alt) {
    const dialog = document.createElement("dialog");
    dialog.className = "enlarged";
    dialog.setAttribute("aria-label", "Enlarged figure");
    const bar = document.createElement("div");
    bar.className = "enlarged-bar";
    const pane = document.createElement("div");
    pane.className = "enlarged-pane";
    pane.tabIndex = 0;
    pane.setAttribute("role", "region");
    pane.setAttribute("aria-label", "Figure; arrow keys move it, plus and minus change its size");
    const copy = document.createElement("img");
    copy.src = source;
    copy.alt = alt;
    let zoom = 1;
    copy.addEventListener("load", function () {
      if (copy.naturalWidth < 500) resize(Math.ceil(500 / copy.naturalWidth));
    });
    function resize(factor) {
      const before = zoom;
      zoom = factor ? Math.min(8, Math.max(0.25, zoom * factor)) : 1;
      const middle = [pane.scrollLeft + pane.clientWidth / 2, pane.scrollTop + pane.clientHeight / 2];
      copy.style.width = Math.round(zoom * copy.naturalWidth) + "px";
      pane.scrollLeft = middle[0] * zoom / before - pane.clientWidth / 2;
      pane.scrollTop = middle[1] * zoom / before - pane.clientHeight / 2;
    }
    [["Larger", 1.5], ["Smaller", 1 / 1.5], ["Actual size", 0]].forEach(function (one) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = one[0];
      button.addEventListener("click", function () { resize(one[1]); });
      bar.append(button);
    });
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    close.addEventListener("click", function () { dialog.close(); });
    bar.append(close);
    dialog.addEventListener("keydown", function (event) {
      if (event.key === "+" || event.key === "=") resize(1.5);
      else if (event.key === "-") resize(1 / 1.5);
      else if (event.key === "0") resize(0);
      else return;
      event.preventDefault();
    });
    const before = document.activeElement;
    // A browser's own way to close a dialog takes keys that come by its window only, and those of a
    // headless one do not. On the window, before whatever else listens, and wherever the focus is.
    function escape(event) {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      dialog.close();
    }
    window.addEventListener("keydown", escape, true);
    dialog.addEventListener("click", function (event) {
      if (event.target === dialog) dialog.close(); // Beside the figure.
    });
    dialog.addEventListener("close", function () {
      window.removeEventListener("keydown", escape, true);
      dialog.remove();
      before.focus();
    });
    pane.append(copy);
    dialog.append(bar, pane);
    document.body.append(dialog);
    dialog.showModal();
    pane.focus();
  }

  function enlarger(open) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    button.textContent = "Enlarge";
    button.setAttribute("aria-haspopup", "dialog");
    button.addEventListener("click", open);
    return button;
  }

  function zoomable(image) {
    if (image.closest("[data-explorer], a, button, dialog")) return;
    const open = function () { enlarge(image.currentSrc || image.src, image.alt); };
    image.addEventListener("click", open);
    image.classList.add("enlargeable");
    image.after(enlarger(open));
  }

  function all() {
    document.querySelectorAll("[data-explorer]").forEach(start);
    document.querySelectorAll("article figure img").forEach(zoomable);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", all);
  else all();
})();
