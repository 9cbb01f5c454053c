import "./view.css";
